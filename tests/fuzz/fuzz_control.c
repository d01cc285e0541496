/* Both ends of the control socket: a request line of any process of the same user, and the status
 * object that `tern status` is given, printed for people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/control.h"
#include "client/presentation.h"
#include "client/presentation_event.h"
#include "tests/fuzz/fuzz.h"

/* As the connection's own: takes strings out of the request and puts them into the answer. */
static json_t *handle(void *ctx, const json_t *request)
{
    unsigned *calls = ctx;
    (*calls)++;
    CHECK(json_is_object(request));
    const char *command = json_string_value(json_object_get(request, "command"));
    const char *what = json_string_value(json_object_get(request, "what"));
    return json_pack("{s:s?, s:s?}", "command", command, "what", what);
}

static void ask(const char *line, size_t len)
{
    unsigned calls = 0;
    size_t answer_len;
    bool follows;
    char *answer = control_answer(handle, &calls, line, len, &answer_len, &follows);
    CHECK(!follows || answer != NULL);
    CHECK((answer != NULL) == (calls == 1) && calls <= 1);
    if (answer == NULL)
        return;
    /* one line, whatever stood in the request, and JSON again */
    CHECK(memchr(answer, '\n', answer_len) == answer + answer_len - 1);
    json_t *again = json_loadb(answer, answer_len, 0, NULL);
    CHECK(json_is_object(again));
    json_decref(again);
    free(answer);
}

/* What the other side says is not trusted to be what the contract promises. */
static void print(const char *line, size_t len)
{
    static FILE *sink;
    if (sink == NULL)
        sink = fopen("/dev/null", "w");
    CHECK(sink != NULL);
    json_t *status = json_loadb(line, len, 0, NULL);
    if (json_is_object(status))
        presentation_print_status(status, sink);
    if (json_is_object(status))
        presentation_print_event(status, sink);
    json_decref(status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size <= CONTROL_REQUEST_MAX)
        ask((const char *)data, size);
    print((const char *)data, size);
    return 0;
}
