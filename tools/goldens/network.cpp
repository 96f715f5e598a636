#include "network.hpp"

#include "base/half.hpp"
#include "vulkan/command.hpp"

namespace pumice::goldens {

Shape nhwc_shape(const Npy<float>& a) {
    const auto at = [&](std::size_t i) { return static_cast<std::uint32_t>(a.shape[i]); };
    return {at(0), at(2), at(3), (at(1) + 3) / 4 * 4};
}

std::vector<float> nhwc(const Npy<float>& a) {
    const Shape s = nhwc_shape(a);
    const auto channels = static_cast<std::uint32_t>(a.shape[1]);
    std::vector<float> values(s.elements(), 0.0f);
    for (std::uint64_t n = 0; n < s.n; ++n)
        for (std::uint64_t c = 0; c < channels; ++c)
            for (std::uint64_t i = 0; i < s.tokens(); ++i)
                values[(n * s.tokens() + i) * s.c + c] = a.data[(n * channels + c) * s.tokens() + i];
    return values;
}

std::vector<float> nchw(std::span<const float> values, const Shape& s, std::uint32_t channels) {
    std::vector<float> out(std::uint64_t(s.n) * channels * s.tokens());
    for (std::uint64_t n = 0; n < s.n; ++n)
        for (std::uint64_t c = 0; c < channels; ++c)
            for (std::uint64_t i = 0; i < s.tokens(); ++i)
                out[(n * channels + c) * s.tokens() + i] = values[(n * s.tokens() + i) * s.c + c];
    return out;
}

Network::Network(std::shared_ptr<Device> device, std::shared_ptr<KernelCache> kernels, Precision precision)
    : device_(std::move(device)), kernels_(std::move(kernels)), graph_(device_->caps(), precision, device_->assumed_gflops()) {}

TensorId Network::input(Shape shape, DType dtype, std::span<const std::byte> bytes) {
    auto buffer = device_->allocator().create(bytes.size(), Intent::device, "golden input");
    if (!buffer) {
        graph_.fail(std::move(buffer.error()));
        return {};
    }
    const BufferRange range{*buffer, 0, bytes.size()};
    if (Status written = write_range(device_, range, bytes); !written) graph_.fail(std::move(written.error()));
    return graph_.external(shape, dtype, range);
}

Status Network::run(std::span<const TensorId> outputs) {
    for (const TensorId id : outputs) graph_.keep(id);
    PUMICE_ASSIGN(program_, Program::compile(device_, *kernels_, arena_, graph_, {}));
    return program_->run();
}

Result<std::vector<float>> Network::read(TensorId id) {
    const std::uint64_t elements = graph_.shape(id).elements();
    const BufferRange range = program_->range(id);
    std::vector<float> values(elements);
    if (graph_.dtype(id) == DType::f32) {
        PUMICE_TRY(read_range(device_, range, std::as_writable_bytes(std::span(values))));
        return values;
    }
    std::vector<std::uint16_t> halves(elements);
    PUMICE_TRY(read_range(device_, range, std::as_writable_bytes(std::span(halves))));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = f16_to_f32(halves[i]);
    return values;
}

}  // namespace pumice::goldens
