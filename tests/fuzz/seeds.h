/* The seeds of the fuzz targets, written by the program fuzz_seeds. */
#ifndef TERN_TESTS_FUZZ_SEEDS_H
#define TERN_TESTS_FUZZ_SEEDS_H

#include "tests/fuzz/fuzz.h"

/* DIRECTORY/TARGET/NAME; n tells several of one name apart. */
void seed_write(const char *target, const char *name, unsigned n, struct span bytes);

void seeds_of_eap(void);      /* seeds_eap.c */
void seeds_of_texts(void);    /* seeds_text.c */
void seeds_of_packets(void);  /* seeds_packet.c */
void seeds_of_offloads(void); /* seeds_offload.c */

#endif
