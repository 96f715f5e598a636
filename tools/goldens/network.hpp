// Runs a graph over arrays of the host.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "graph/program.hpp"
#include "suite.hpp"

namespace pumice::goldens {

/// {n,c,h,w} → {n,h,w,c padded with zeros to a multiple of 4}, and back, dropping the padding.
std::vector<float> nhwc(const Npy<float>& nchw);
std::vector<float> nchw(std::span<const float> nhwc, const Shape& shape, std::uint32_t channels);
/// The padded NHWC shape of an NCHW array.
Shape nhwc_shape(const Npy<float>& nchw);

class Network {
public:
    Network(std::shared_ptr<Device> device, std::shared_ptr<KernelCache> kernels, Precision precision);

    Graph& graph() { return graph_; }
    /// A tensor on the device with these bytes. An error is kept for run().
    TensorId input(Shape shape, DType dtype, std::span<const std::byte> bytes);
    TensorId input(Shape shape, std::span<const float> values) { return input(shape, DType::f32, std::as_bytes(values)); }

    /// Compiles and runs. `outputs` are then readable.
    Status run(std::span<const TensorId> outputs);
    /// An output as f32, whatever it is stored as.
    Result<std::vector<float>> read(TensorId id);

private:
    std::shared_ptr<Device> device_;
    std::shared_ptr<KernelCache> kernels_;
    Graph graph_;
    Arena arena_;
    std::unique_ptr<Program> program_;
};

}  // namespace pumice::goldens
