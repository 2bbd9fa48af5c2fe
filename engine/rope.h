/* rope.h - angles of the rotary embedding (v4-architecture section 3). */
#ifndef TOLLGATE_ENGINE_ROPE_H
#define TOLLGATE_ENGINE_ROPE_H

#include <stdbool.h>

#include "engine/model.h"

/* Frequencies [rope_dim / 2]: plain of rope_theta, or (layers of ratio 4 and 128) of compress_theta with YaRN, whose
 * magnitude factor this architecture does not use. */
void rope_frequencies(float *f, const struct model_config *c, bool compressed);

/* turn [rope_dim / 2][2] = { cos, sin } of position * f[i], the product in float32 as the published code has it. */
void rope_turns(float *turn, const float *f, int rope_dim, int position);

#endif
