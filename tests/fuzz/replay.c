/* Without libFuzzer: every file named, and every file of a directory named, is run once. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

/* Longer inputs are no seeds of ours. */
enum { INPUT_MAX = 65536, PATH_TEXT_MAX = 4096 };

static unsigned run_count;

static void run_file(const char *path)
{
    static uint8_t input[INPUT_MAX];
    FILE *f = fopen(path, "rb");
    CHECK(f != NULL);
    size_t len = fread(input, 1, sizeof(input), f);
    fclose(f);
    uint8_t *copy = fuzz_copy(span_make(input, len));
    (void)LLVMFuzzerTestOneInput(copy, len);
    free(copy);
    run_count++;
}

static void run(const char *path)
{
    DIR *d = opendir(path);
    if (d == NULL) {
        run_file(path);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(d)) != NULL;) {
        char file[PATH_TEXT_MAX];
        if (entry->d_name[0] == '.')
            continue;
        CHECK((size_t)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name) < sizeof(file));
        run_file(file);
    }
    closedir(d);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        run(argv[i]);
    printf("%u inputs\n", run_count);
    return run_count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
