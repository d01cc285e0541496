/* A network of the test's own. */
#ifndef TERN_TESTS_NAMESPACE_H
#define TERN_TESTS_NAMESPACE_H

#include <stdbool.h>

/* Into a fresh network namespace, as root of a user namespace (nobody needs to be root outside),
 * with the loopback up. Fails the test where namespaces cannot be had. (Under ThreadSanitizer the
 * process has to be root of one already: unshare --user --map-root-user.) */
void support_enter_namespace(void);

/* Commands for the shell, up to the first that fails; none may. */
void support_shell(const char *commands);

/* Each IPv6 address has a route of its own, which the kernel adds, and tells, a moment later: until
 * all have theirs. For addresses that are in use at once. */
void support_addresses_settle(void);

/* A network, up and with a default route: a veth of that name, the other end of which is farN, with
 * 10.0.N.2/24 and 2001:db8:N::2/64. */
void support_network(const char *name, unsigned number, unsigned metric);

/* Let go of a capability (CAP_...), or take it up again. */
void support_capability(int capability, bool effective);

#endif
