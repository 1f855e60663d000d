#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// NULL, or why CUDA cannot be simulated, which the caller frees.
char *gojepa_simcuda_register(void);
// Forgets what was counted, and begins to count.
void gojepa_simcuda_start(void);
// What was counted since: "operation\tcount" a line. The caller frees it.
char *gojepa_simcuda_stop(void);

#ifdef __cplusplus
}
#endif
