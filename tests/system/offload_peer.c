/* Segmentation and coalescing on a pipe, so that test_offload.py can hold them against an
 * independent implementation and against the kernel. One request a line, one answer a line; octets
 * in hex, a vnet header with the packet behind it as one word:
 *
 *     segment READ             as the TUN gave it; the answer: the packets
 *     coalesce PACKET ...      a batch; the answer: the writes
 *
 * or "error: " and the reason. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/packet/gro.h"
#include "common/packet/gso.h"

enum { LINE_BYTES = 4 << 20 };

static char line[LINE_BYTES];
static struct gro gro;

/* In place: never longer than its text. False where it is no hex. */
static bool parse_hex(char *hex, uint8_t *out, size_t *ret_len)
{
    size_t len = 0;
    for (; hex[0] != '\0'; hex += 2, len++) {
        unsigned octet;
        int used = 0;
        if (sscanf(hex, "%2x%n", &octet, &used) != 1 || used != 2)
            return false;
        out[len] = (uint8_t)octet;
    }
    *ret_len = len;
    return true;
}

static void print_hex(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        printf("%02x", s.data[i]);
}

static enum err segment(uint8_t *read, size_t len)
{
    struct vnet_header v;
    struct gso g;
    struct gso_segment s;
    enum err e = vnet_parse(span_make(read, len), &v);
    if (e == ERR_OK)
        e = gso_begin(&g, &v, read + VNET_HEADER_LEN, len - VNET_HEADER_LEN);
    if (e != ERR_OK)
        return e;
    for (const char *before = ""; gso_next(&g, &s); before = " ") {
        printf("%s", before);
        print_hex(gso_join(&g, &s));
    }
    printf("\n");
    return ERR_OK;
}

static void print_writes(void)
{
    struct gro_write w;
    for (const char *before = ""; gro_next(&gro, &w); before = " ") {
        printf("%s", before);
        for (size_t i = 0; i < w.count; i++)
            print_hex(w.spans[i]);
    }
    printf("\n");
}

/* The packets' octets take the place of their text. */
static enum err coalesce(char *words)
{
    gro_begin(&gro, &(struct gro_options){.tcp = true, .udp = true});
    for (char *word = strtok(words, " \n"); word != NULL; word = strtok(NULL, " \n")) {
        size_t len;
        if (!parse_hex(word, (uint8_t *)word, &len))
            return ERR_MALFORMED;
        enum err e = gro_add(&gro, (uint8_t *)word, len);
        if (e != ERR_OK)
            return e;
    }
    print_writes();
    return ERR_OK;
}

static enum err answer(char *request)
{
    static const char segment_verb[] = "segment ", coalesce_verb[] = "coalesce ";
    size_t len;
    if (strncmp(request, coalesce_verb, strlen(coalesce_verb)) == 0)
        return coalesce(request + strlen(coalesce_verb));
    char *word = request + strlen(segment_verb);
    if (strncmp(request, segment_verb, strlen(segment_verb)) != 0)
        return ERR_UNSUPPORTED;
    word[strcspn(word, "\n")] = '\0';
    if (!parse_hex(word, (uint8_t *)word, &len))
        return ERR_MALFORMED;
    return segment((uint8_t *)word, len);
}

int main(void)
{
    while (fgets(line, sizeof(line), stdin) != NULL) {
        enum err e = answer(line);
        if (e != ERR_OK)
            printf("error: %s\n", err_text(e));
        fflush(stdout);
    }
    return EXIT_SUCCESS;
}
