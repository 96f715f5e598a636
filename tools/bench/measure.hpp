// One case: built, checked, timed.
#pragma once

#include <string>
#include <vector>

#include "bench.hpp"
#include "cases.hpp"

namespace pumice::bench {

struct Measurement {
    std::string variant;  ///< empty: the operator's own choice, of which there is one
    bool chosen = true;   ///< what the operator takes unasked
    Timing timing;
    double flops = 0, bytes = 0;  ///< of one run: arithmetic; operands read and result written, once each
    double error = 0, tolerance = 0;
    bool correct() const { return error <= tolerance; }  ///< false for NaN
    double gflops() const { return timing.median() > 0 ? flops / timing.median() * 1e-9 : 0; }
    double gbps() const { return timing.median() > 0 ? bytes / timing.median() * 1e-9 : 0; }
};

/// Times the case in the bench's precision, after holding the result against that of Precision::exact on the same
/// operands. With all_variants one measurement a legal variant, else one.
Result<std::vector<Measurement>> measure(const Bench&, const Case&, bool all_variants);

}  // namespace pumice::bench
