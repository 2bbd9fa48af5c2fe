/* clock.h - the two clocks. Pure code takes a time as an argument; only programs and their loops read these. */
#ifndef TOLLGATE_BASE_CLOCK_H
#define TOLLGATE_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void);    /* UTC, milliseconds since 1970; may step. For rows, prices, certificates. */
int64_t clock_wall_us(void);
int64_t clock_mono_ms(void);    /* never steps back. For time-outs and durations. */
int64_t clock_mono_us(void);

#endif
