// A graph is an append-only list of dispatches over tensors. Operators (core/ops) append; plan() lays the transient
// tensors out in memory; Program (program.hpp) records and replays.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/precision.hpp"
#include "base/result.hpp"
#include "graph/tensor.hpp"
#include "kernels/kernel.hpp"
#include "vulkan/capabilities.hpp"
#include "vulkan/memory.hpp"

namespace pumice {

enum class Access : std::uint8_t { read, write, read_write };

/// A range of a tensor bound as a storage buffer. offset is a multiple of caps.storage_offset_alignment and size at
/// most caps.max_storage_buffer_range: use Graph::bind.
struct Binding {
    TensorId tensor;
    std::uint64_t offset = 0, size = 0;  ///< bytes
    Access access = Access::read;
};

struct Dispatch {
    KernelKey kernel;
    std::vector<Binding> bindings;          ///< binding i of set 0
    std::vector<std::uint32_t> push;        ///< words of the push constants
    std::array<std::uint32_t, 3> groups{1, 1, 1};
    double flops = 0;                       ///< arithmetic of it, for cutting and for the profile
    double bytes = 0;                       ///< memory it must move at least
};

/// One use of an operator: what it is called in messages and profiles, and its dispatches in order.
struct Node {
    std::string label;
    std::vector<Dispatch> dispatches;
};

/// Along which axes pictures continue at their other end.
struct Seamless {
    bool x = false, y = false;
    explicit operator bool() const { return x || y; }
    friend bool operator==(const Seamless&, const Seamless&) = default;
};

struct TensorInfo {
    Shape shape;
    DType dtype = DType::f32;
    std::string name;
    /// Set for weights, inputs and outputs: memory that the caller owns. Otherwise transient: planned.
    BufferRange external;
    std::uint64_t bytes() const { return shape.elements() * size_of(dtype); }
};

class Graph {
public:
    /// assumed_gflops: how fast the device is taken to be (Device::assumed_gflops()); bounds a dispatch's length.
    Graph(const Capabilities& caps, Precision precision, double assumed_gflops = 20);

    const Capabilities& caps() const { return *caps_; }
    Precision precision() const { return precision_; }
    /// f16 in Precision::fp16, else f32.
    DType activation() const { return precision_ == Precision::fp16 ? DType::f16 : DType::f32; }

    TensorId transient(Shape, DType, std::string name = {});
    TensorId external(Shape, DType, BufferRange, std::string name = {});
    /// Gives an external tensor other memory: of one that was made with a placeholder, the real one.
    void place(TensorId id, BufferRange range) { tensors_[id.index].external = std::move(range); }
    const TensorInfo& info(TensorId id) const { return tensors_[id.index]; }
    const Shape& shape(TensorId id) const { return tensors_[id.index].shape; }
    DType dtype(TensorId id) const { return tensors_[id.index].dtype; }

    /// Elements [first, first+count) of a tensor. The range's start is moved down to the device's alignment;
    /// `base` receives the index, in elements, of `first` from the start of the bound range.
    Binding bind(TensorId, std::uint64_t first, std::uint64_t count, Access, std::uint32_t& base) const;
    /// A whole tensor (base is 0).
    Binding bind(TensorId, Access) const;

    /// The most FLOP one dispatch should do, so that no watchdog fires and cancelling answers soon (about 0.2 s).
    double dispatch_flops() const { return dispatch_flops_; }
    /// Cuts [0, rows) into equal pieces, multiples of `multiple` rows, such that bytes_per_row (of the largest tensor
    /// cut) stays below the binding limit and flops_per_row below dispatch_flops(). Returns rows a piece.
    std::uint32_t rows_per_dispatch(std::uint64_t rows, std::uint64_t bytes_per_row, double flops_per_row,
                                    std::uint32_t multiple = 1) const;

    void add(Node node) { nodes_.push_back(std::move(node)); }
    /// Prefix of the labels of what is added from here on ("unet.input_blocks.1.0"); empty: none.
    void set_scope(std::string scope) { scope_ = std::move(scope); }
    const std::string& scope() const { return scope_; }

    /// From here on, convolutions take the picture's other end for what lies beyond its edge: results tile.
    void set_seamless(Seamless seamless) { seamless_ = seamless; }
    const Seamless& seamless() const { return seamless_; }

    /// Keeps a transient tensor alive to the end of the graph, so that it can be read back (block dumps in tests).
    void keep(TensorId id) { kept_.push_back(id); }

    /// An operator that is given something it cannot do records the first error here and returns an empty tensor id;
    /// Program::compile returns it. So models read as formulas.
    void fail(Error);
    const Error* error() const { return failed_ ? &error_ : nullptr; }

    const std::deque<TensorInfo>& tensors() const { return tensors_; }
    const std::vector<Node>& nodes() const { return nodes_; }
    const std::vector<TensorId>& kept() const { return kept_; }

private:
    const Capabilities* caps_;
    Precision precision_;
    double dispatch_flops_;
    std::deque<TensorInfo> tensors_;  // references stay valid while operators append
    std::vector<Node> nodes_;
    std::vector<TensorId> kept_;
    std::string scope_;
    Seamless seamless_;
    bool failed_ = false;
    Error error_;
};

/// Push constants as words; T is a plain struct of 32-bit members that mirrors the shader's block.
template <class T>
std::vector<std::uint32_t> push_words(const T& block) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % 4 == 0);
    std::vector<std::uint32_t> words(sizeof(T) / 4);
    std::memcpy(words.data(), &block, sizeof(T));
    return words;
}

}  // namespace pumice
