"""What the lying kernel shares with Python; declarations only."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

cdef extern from "lies.h":
    enum:
        RM_CLOCK_BEGIN_NS
        RM_FAULTS_MAX
        RM_RATES
        RM_STORY_MAX
        RM_WHATS

    struct rm_fault:
        double rate
        int error
        uint8_t opcode

    struct rm_event:
        int64_t at_ns
        uint64_t user_data
        int32_t result
        uint8_t what
        uint8_t opcode

    struct rm_lies:
        uint64_t seed
        double *rates
        int64_t delay_ns
        int64_t patience_ns
        rm_fault *faults
        unsigned faults_count
        int64_t clock_ns
        uint64_t *counts
        uint64_t events
        uint64_t fingerprint
        rm_event *story

cdef class Lies:
    cdef rm_lies *lies
    cdef bint opened
