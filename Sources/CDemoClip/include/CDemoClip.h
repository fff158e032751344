#ifndef C_DEMO_CLIP_H
#define C_DEMO_CLIP_H

#include <stddef.h>

/// The bytes of demo.webm (scripts/render-clip): VP8 and Opus, eight seconds.
extern const unsigned char *const demo_clip_bytes;
extern const size_t demo_clip_byte_count;

#endif
