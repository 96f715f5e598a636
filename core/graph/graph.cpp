#include "graph/graph.hpp"

#include <algorithm>

namespace pumice {
namespace {

// Seconds one dispatch may take: a display watchdog fires at about two, and cancelling should feel immediate.
constexpr double kDispatchSeconds = 0.2;

// Offsets and sizes inside shaders are 32-bit element indices of at least 2 bytes.
constexpr std::uint64_t kIndexableBytes = std::uint64_t(1) << 31;

}  // namespace

Graph::Graph(const Capabilities& caps, Precision precision, double assumed_gflops)
    : caps_(&caps), precision_(precision), dispatch_flops_(assumed_gflops * 1e9 * kDispatchSeconds) {}

TensorId Graph::transient(Shape shape, DType dtype, std::string name) {
    tensors_.push_back({shape, dtype, std::move(name), {}});
    return {static_cast<std::uint32_t>(tensors_.size() - 1)};
}

TensorId Graph::external(Shape shape, DType dtype, BufferRange range, std::string name) {
    tensors_.push_back({shape, dtype, std::move(name), std::move(range)});
    return {static_cast<std::uint32_t>(tensors_.size() - 1)};
}

Binding Graph::bind(TensorId id, std::uint64_t first, std::uint64_t count, Access access, std::uint32_t& base) const {
    const TensorInfo& t = info(id);
    const std::uint64_t element = size_of(t.dtype);
    // The alignment holds for the place in the buffer; an external range may start anywhere that is itself aligned.
    const std::uint64_t begin = first * element;
    const std::uint64_t aligned = begin / caps_->storage_offset_alignment * caps_->storage_offset_alignment;
    base = static_cast<std::uint32_t>((begin - aligned) / element);
    // Shaders read words of up to 16 bytes: the range is rounded up to one.
    const std::uint64_t size = (begin - aligned + count * element + 15) / 16 * 16;
    return {id, aligned, size, access};
}

Binding Graph::bind(TensorId id, Access access) const {
    std::uint32_t base = 0;
    return bind(id, 0, info(id).shape.elements(), access, base);
}

std::uint32_t Graph::rows_per_dispatch(std::uint64_t rows, std::uint64_t bytes_per_row, double flops_per_row,
                                       std::uint32_t multiple) const {
    const std::uint64_t slack = caps_->storage_offset_alignment + 16;
    const std::uint64_t limit = std::min(caps_->max_storage_buffer_range, kIndexableBytes);
    std::uint64_t most = limit > slack ? (limit - slack) / std::max<std::uint64_t>(1, bytes_per_row) : 1;
    if (rows * bytes_per_row <= limit) most = std::max(most, rows);  // uncut, the start is aligned: no slack needed
    if (flops_per_row > 0)
        most = std::min<std::uint64_t>(most, static_cast<std::uint64_t>(std::max(1.0, dispatch_flops_ / flops_per_row)));
    most = std::max<std::uint64_t>(most / multiple * multiple, multiple);
    if (most >= rows) return static_cast<std::uint32_t>(rows);
    const std::uint64_t pieces = (rows + most - 1) / most;
    const std::uint64_t even = (rows + pieces - 1) / pieces;
    return static_cast<std::uint32_t>(std::min(most, (even + multiple - 1) / multiple * multiple));
}

void Graph::fail(Error error) {
    if (failed_) return;
    failed_ = true;
    if (!scope_.empty()) error.message = scope_ + ": " + error.message;
    error_ = std::move(error);
}

}  // namespace pumice
