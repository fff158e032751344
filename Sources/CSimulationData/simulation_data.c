#include "CSimulationData.h"

// #embed is C23; the toolchain's clang has it in every language mode.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char planetlab490[] = {
#embed "data/planetlab490_rtt_ms_median.csv"
};

const unsigned char *const simulation_planetlab490_bytes = planetlab490;
const size_t simulation_planetlab490_byte_count = sizeof planetlab490;

static const unsigned char seattle99[] = {
#embed "data/seattle99_rtt_ms_median.csv"
};

const unsigned char *const simulation_seattle99_bytes = seattle99;
const size_t simulation_seattle99_byte_count = sizeof seattle99;

static const unsigned char azure_lifetimes[] = {
#embed "data/azure_vm_lifetime_quantiles_s.csv"
};

const unsigned char *const simulation_azure_lifetimes_bytes = azure_lifetimes;
const size_t simulation_azure_lifetimes_byte_count = sizeof azure_lifetimes;
