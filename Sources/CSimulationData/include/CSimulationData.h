#ifndef C_SIMULATION_DATA_H
#define C_SIMULATION_DATA_H

#include <stddef.h>

/// PlanetLab all-pairs round-trip times as CSV text: 490 lines of 490 milliseconds (data/README.md).
extern const unsigned char *const simulation_planetlab490_bytes;
extern const size_t simulation_planetlab490_byte_count;

/// Seattle's personal devices likewise: 99 lines of 99 milliseconds.
extern const unsigned char *const simulation_seattle99_bytes;
extern const size_t simulation_seattle99_byte_count;

/// Life times of cloud VMs: 500 quantiles in seconds, ascending, one a line.
extern const unsigned char *const simulation_azure_lifetimes_bytes;
extern const size_t simulation_azure_lifetimes_byte_count;

#endif
