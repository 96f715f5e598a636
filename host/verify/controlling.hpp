// A control network of a plugin, opened and run on a small latent, with a host that can be made to fail.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.hpp"
#include "verify/counted_math.hpp"
#include "verify/model_files.hpp"
#include "verify/suite.hpp"

namespace pumice::verify {

struct ControlOptions : Faults {
    MadeFile file;
    std::vector<plugins::ParamValue> params;
    std::uint32_t side = 8, other_side = 8;    ///< of the latent: rows, columns
    std::vector<std::uint32_t> batches = {1};  ///< a step for each: the pictures at once
    bool open_only = false, never_open = false;
    const char* hidden = nullptr;  ///< an extension that the host does not have
    bool future = false;           ///< the host is newer: its structs are longer
};

struct Residual {
    std::string block;
    std::uint32_t where = 0;
    Shape shape;
    double soft_weight = 0;
    std::vector<float> values;
    friend bool operator==(const Residual&, const Residual&) = default;
};

struct Controlled : Tally {
    pumice_sdk_status status = PUMICE_SDK_OK;
    std::string thrown;                            ///< or why there is no instance
    std::string error;                             ///< what the host says of it; "" for none
    std::vector<std::vector<Residual>> residuals;  ///< of each step
    std::vector<Shape> kept;
    std::string wrote;  ///< what it was given to read and has written over
};

/// Opens the file, prepares, and does a step for each of the batches; ends at the first error.
Controlled control(const Plugin&, std::uint32_t index, const ControlOptions&);

}  // namespace pumice::verify
