/* tern-token's end of the conversation. */
#ifndef TERN_CLIENT_TOKEN_SERVE_H
#define TERN_CLIENT_TOKEN_SERVE_H

/* Answers requests on a socket (protocol.h) until the other side hangs up, or says what nobody
 * understands. Blocks. A driver that hangs for longer than SERVE_PATIENCE_S ends the process. */
enum { SERVE_PATIENCE_S = 90 };
void serve(int fd);

#endif
