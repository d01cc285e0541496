/* What an emulated link does to the frames of one direction, and how people write it down. */
#ifndef TERN_TOOLS_LAB_SHAPE_H
#define TERN_TOOLS_LAB_SHAPE_H

#include <stdint.h>

#include "common/base/err.h"

struct lab_shape {
    uint32_t delay_us, jitter_us; /* each frame: the delay, and up to the jitter more */
    uint32_t loss_ppm, duplicate_ppm, reorder_ppm;
    uint64_t rate_bps;  /* 0: no limit */
    uint32_t queue_len; /* octets that wait for the rate; more are dropped */
};

/* A cable: at once, and whole. */
#define LAB_SHAPE_DEFAULT ((struct lab_shape){.queue_len = 256 << 10})

/* "delay 25ms jitter 2ms loss 0.5% duplicate 1% reorder 1% rate 20mbit queue 64k", in any order;
 * what is not mentioned keeps its value. *shape is changed on success alone. */
CHECKED enum err lab_shape_parse(const char *text, struct lab_shape *shape, struct fault *f);

#endif
