// The ways to run an attention, for tests and tuning; ops.hpp has the operator.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/graph.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {

struct AttentionVariant {
    std::uint32_t rows = 1;   ///< queries of one invocation: ROWS in shaders/attention.comp
    std::uint32_t lanes = 8;  ///< invocations of a workgroup along the queries
    bool pair = false;        ///< loads are of two quads of channels: PAIR there
    bool handed = false;      ///< an invocation loads one key for all: HANDED there
    friend bool operator==(const AttentionVariant&, const AttentionVariant&) = default;
};

/// Invocations that share a query, each with a part of its output's columns: follows from the head size alone, because
/// the exact kernel's order of summation does with it.
std::uint32_t attention_split(std::uint32_t head_size);

/// What the device's record allows, the one to take unmeasured first. Never empty.
std::vector<AttentionVariant> attention_variants(const Capabilities&, std::uint32_t head_size, DType);

/// attention() with a variant of the caller's choice, which must be one of attention_variants().
TensorId attention_with(Graph&, TensorId q, TensorId k, TensorId v, const AttentionOptions&, const AttentionVariant&);

}  // namespace pumice::ops
