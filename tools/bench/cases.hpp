// What is timed: each operator on the shapes of SD 1.5 (UNet of 512 x 512 and 256 x 256 pictures with guidance, VAE
// decoding 512 x 512, text encoder of 77 tokens) and on ragged ones. Matrix products and convolutions come from the
// tests' table (tests/ops/cases.hpp).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.hpp"
#include "graph/weight.hpp"
#include "vulkan/device.hpp"

namespace pumice::bench {

/// Operands of made-up values that are the same whatever the graph's precision: all can be stored in fp16. The k-th
/// tensor that a case asks for is always the k-th tensor; each is made once a type.
class Inputs {
public:
    explicit Inputs(std::shared_ptr<Device> device) : device_(std::move(device)) {}
    void rewind() { next_ = 0; }  ///< before a case is built once more

    TensorId activation(Graph& g, Shape shape) { return tensor(g, shape, g.activation(), 1); }
    TensorId f32(Graph& g, Shape shape) { return tensor(g, shape, DType::f32, 1); }
    TensorId f16(Graph& g, Shape shape) { return tensor(g, shape, DType::f16, 1); }
    TensorId bytes(Graph&, Shape);                         ///< u8
    TensorId integers(Graph&, Shape, std::int32_t below);  ///< i32, 0 to below - 1
    TensorId zeros(Graph&, Shape, DType);
    /// f16, as checkpoints are; in the packed layout unless it is a table.
    Weight weight(std::uint32_t n, std::uint32_t k, std::uint32_t kernel = 1, bool geglu = false);
    /// A matrix in blocks of Q8_0.
    Weight blocks(std::uint32_t n, std::uint32_t k);
    Weight table(std::uint32_t n, std::uint32_t k, std::uint32_t rows_read);
    Weight vector(std::uint32_t n, float scale = 0.5f);
    std::uint64_t bytes_made() const { return made_bytes_; }  ///< of what the last build asked for

private:
    using Fill = std::function<void(std::vector<std::byte>&, std::uint64_t seed)>;
    BufferRange range(Graph*, std::uint64_t bytes, DType, const Fill&);
    TensorId tensor(Graph&, Shape, DType, float scale);
    std::shared_ptr<Device> device_;
    std::map<std::pair<std::uint32_t, DType>, BufferRange> made_;
    std::uint32_t next_ = 0;
    std::uint64_t made_bytes_ = 0;
};

using Build = std::function<TensorId(Graph&, Inputs&)>;  ///< appends the operator; its output

struct Variant {
    std::string name;
    Build build;
};

struct Case {
    std::string op, set, name;  ///< set: "unet 512", "unet 256", "vae 512", "text", "ragged"
    bool arithmetic = false;    ///< rated in GFLOP/s against the arithmetic peak, else in GB/s against the copy
    Build build;                ///< as the operator chooses its variant
    /// The legal variants in the order of choice; none for operators that have one.
    std::function<std::vector<Variant>(Graph&)> variants;
    bool seeded = false;  ///< draws its values itself: exact and fast forms may differ beyond rounding
    std::string path() const { return op + "/" + set + "/" + name; }
};

std::vector<Case> all_cases();

}  // namespace pumice::bench
