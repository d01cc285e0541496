/* tern-token: a smart card, or another token, for tern, which starts it. It has no command line:
 * what is said over its standard input, a socket, is in protocol.h. */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/token/serve.h"
#include "platform/privileges.h"

int main(void)
{
    int type = 0;
    socklen_t len = sizeof(type);
    if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_SEQPACKET) {
        fprintf(stderr, "tern-token is started by tern, where a profile names a key by pkcs11:\n");
        return 2;
    }
    privileges_protect_memory();
    privileges_keep_file_access();
    serve(STDIN_FILENO);
    return 0;
}
