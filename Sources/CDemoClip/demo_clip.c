#include "CDemoClip.h"

// #embed is C23; the toolchain's clang has it in every language mode.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char clip[] = {
#embed "demo.webm"
};

const unsigned char *const demo_clip_bytes = clip;
const size_t demo_clip_byte_count = sizeof clip;
