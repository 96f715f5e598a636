#include "diffusion/gpu_tensor_math.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "diffusion/brownian.hpp"
#include "ops/ops.hpp"
#include "vulkan/command.hpp"

namespace pumice {
namespace {

/// First element of a program's key; the second is the slot written (read, for download), the others slots read.
enum Operation : std::uint32_t { kCombine, kFromNchw, kToNchw, kNorms, kAffine, kBlend };

/// A device with few bindings adds many terms in several dispatches: the first takes four, each other three to what is
/// there. Rows of weights, then: {w0, w1, w2, w3}, {1, w4, w5, w6}, {1, w7}. The sums are the same.
constexpr std::size_t kRows = 3;

std::uint64_t bytes_of(Shape shape) {
    return shape.elements() * sizeof(float);
}

Result<BufferRange> new_range(Device& device, std::uint64_t bytes, Intent intent, const char* what) {
    PUMICE_ASSIGN(auto buffer, device.allocator().create(bytes, intent, what));
    return BufferRange{std::move(buffer), 0, bytes};
}

}  // namespace

DrawNoise draw_from(BatchNoise noise, Shape latents) {
    return [noise = std::move(noise), latents](std::span<float> nchw) mutable -> Status {
        if (nchw.size() != latents.elements())
            return Error{Code::internal,
                         fmt::format("noise for {} numbers, expected {}", nchw.size(), latents.elements())};
        noise.normal(nchw, latents.c, latents.h, latents.w);
        return {};
    };
}

DrawBrownian brownian_from(const NoiseOptions& options, Shape latents) {
    // Shared, because a std::function is copied and trees are not.
    const auto trees = std::make_shared<std::vector<BrownianTree>>();
    return [options, latents, trees](std::span<float> nchw, double lowest, double highest, double from,
                                     double to) -> Status {
        const std::size_t count = latents.elements() / latents.n;
        if (trees->empty() || !trees->front().covers(lowest, highest)) {
            trees->clear();
            for (std::uint32_t i = 0; i < latents.n; ++i)
                trees->emplace_back(options.seed + i, count, lowest, highest);
        }
        for (std::uint32_t i = 0; i < latents.n; ++i) (*trees)[i].increment(from, to, nchw.subspan(i * count, count));
        return {};
    };
}

GpuTensorMath::GpuTensorMath(std::shared_ptr<Device> device, KernelCache& kernels, Shape shape, Precision precision,
                             DrawNoise draw, DrawBrownian draw_brownian)
    : device_(std::move(device)),
      kernels_(kernels),
      shape_(shape),
      // Latents are f32 whatever the networks compute in.
      precision_(precision == Precision::exact ? Precision::exact : Precision::fp32),
      draw_(std::move(draw)),
      draw_brownian_(std::move(draw_brownian)),
      host_(shape.elements()) {}

GpuTensorMath::~GpuTensorMath() = default;

Result<std::unique_ptr<GpuTensorMath>> GpuTensorMath::create(std::shared_ptr<Device> device, KernelCache& kernels,
                                                             Shape shape, Precision precision, DrawNoise draw,
                                                             DrawBrownian draw_brownian,
                                                             std::uint32_t terms_a_dispatch) {
    if (shape.elements() == 0 || shape.c % 4 != 0)
        return Error{Code::invalid_argument,
                     fmt::format("latents of {} x {} x {} x {} (n, h, w, c): c must be a multiple of 4", shape.n,
                                 shape.h, shape.w, shape.c)};
    std::unique_ptr<GpuTensorMath> math(
        new GpuTensorMath(std::move(device), kernels, shape, precision,
                                                          std::move(draw), std::move(draw_brownian)));
    Device& on = *math->device_;
    math->eight_terms_ = terms_a_dispatch >= 8;
    PUMICE_ASSIGN(math->weights_, new_range(on, kRows * kMaxTerms * sizeof(float), Intent::shared, "sampler weights"));
    PUMICE_ASSIGN(math->norms_,
                  new_range(on, ops::norms_shape(shape).elements() * sizeof(float), Intent::shared, "sampler norms"));
    PUMICE_ASSIGN(math->affine_, new_range(on, ops::affine_params_shape(shape).elements() * sizeof(float), Intent::shared,
                                           "channel numbers"));
    PUMICE_ASSIGN(math->nchw_, new_range(on, bytes_of(shape), Intent::shared, "noise"));
    return math;
}

Result<Latent> GpuTensorMath::create_latent() {
    auto place = std::find_if(slots_.begin(), slots_.end(), [](const Place& p) { return p.state == Slot::free; });
    if (place == slots_.end()) {
        PUMICE_ASSIGN(BufferRange range, new_range(*device_, bytes_of(shape_), Intent::device, "latent"));
        place = slots_.insert(slots_.end(), Place{std::move(range), Slot::free});
    }
    place->state = Slot::held;
    return Latent(*this, static_cast<std::uint32_t>(place - slots_.begin()));
}

Result<Latent> GpuTensorMath::wrap(BufferRange range) {
    if (!range.buffer || range.size < bytes_of(shape_))
        return Error{Code::invalid_argument,
                     fmt::format("{} bytes cannot be a latent of {} bytes", range.size, bytes_of(shape_))};
    slots_.push_back({std::move(range), Slot::wrapped});
    return Latent(*this, static_cast<std::uint32_t>(slots_.size() - 1));
}

void GpuTensorMath::release(std::uint32_t slot) noexcept {
    Place& place = slots_[slot];
    if (place.state == Slot::held) {
        place.state = Slot::free;
        return;
    }
    // The caller's memory: forget it, and whatever was recorded with it.
    place = {BufferRange{}, Slot::retired};
    std::erase_if(programs_, [slot](const auto& entry) {
        return std::find(entry.first.begin() + 1, entry.first.end(), slot) != entry.first.end();
    });
}

TensorId GpuTensorMath::tensor(Graph& graph, std::uint32_t slot) const {
    return graph.external(shape_, DType::f32, slots_[slot].range, fmt::format("latent {}", slot));
}

void GpuTensorMath::build(Graph& graph, const Key& key) const {
    const Shape planar{shape_.n, shape_.c, shape_.h, shape_.w};  // only its elements count
    const TensorId latent = tensor(graph, key[1]);
    if (key[0] == kFromNchw) {
        const TensorId host = graph.external(planar, DType::f32, nchw_, "nchw");
        const std::array terms{ops::Term{ops::nchw_to_nhwc(graph, host, shape_), 1}};
        ops::linear_combination(graph, terms, latent);
    } else if (key[0] == kToNchw) {
        const std::array terms{ops::Term{ops::nhwc_to_nchw(graph, latent), 1}};
        ops::linear_combination(graph, terms, graph.external(graph.shape(terms[0].x), DType::f32, nchw_, "nchw"));
    } else if (key[0] == kNorms) {
        ops::norms(graph, latent, graph.external(ops::norms_shape(shape_), DType::f32, norms_, "norms"));
    } else if (key[0] == kBlend) {
        const auto term = [&](std::size_t i) { return key[i] == key[1] ? latent : tensor(graph, key[i]); };
        const TensorId a = term(2), b = key[3] == key[2] ? a : term(3);
        ops::blend(graph, a, b, term(4), latent);
    } else if (key[0] == kAffine) {
        const TensorId params = graph.external(ops::affine_params_shape(shape_), DType::f32, affine_, "channel numbers");
        ops::affine(graph, key[2] == key[1] ? latent : tensor(graph, key[2]), params, latent);
    } else {
        // A latent that occurs twice is one tensor, so that barriers and in-place writing see it as such.
        std::vector<TensorId> terms;
        for (std::size_t i = 2; i < key.size(); ++i) {
            const auto earlier = std::find(key.begin() + 1, key.begin() + static_cast<std::ptrdiff_t>(i), key[i]);
            const auto at = static_cast<std::size_t>(earlier - key.begin());
            terms.push_back(at == i ? tensor(graph, key[i]) : at == 1 ? latent : terms[at - 2]);
        }
        const TensorId weights = graph.external({1, 1, 1, kRows * kMaxTerms}, DType::f32, weights_, "weights");
        if (terms.size() <= 4 || (eight_terms_ && ops::combines_eight(graph))) {
            ops::linear_combination_by(graph, terms, weights, 0, latent);
            return;
        }
        TensorId sum = ops::linear_combination_by(graph, std::span(terms).first(4), weights, 0);
        for (std::size_t first = 4, row = 1; first < terms.size(); first += 3, ++row) {
            const std::size_t count = std::min<std::size_t>(3, terms.size() - first);
            std::vector<TensorId> more{sum};
            more.insert(more.end(), terms.begin() + static_cast<std::ptrdiff_t>(first),
                        terms.begin() + static_cast<std::ptrdiff_t>(first + count));
            const bool last = first + count == terms.size();
            sum = ops::linear_combination_by(graph, more, weights, static_cast<std::uint32_t>(row * kMaxTerms),
                                             last ? latent : TensorId{});
        }
    }
}

Result<Program*> GpuTensorMath::program(const Key& key) {
    std::unique_ptr<Program>& entry = programs_[key];
    if (entry) return entry.get();
    Graph graph(device_->caps(), precision_, device_->assumed_gflops());
    build(graph, key);
    auto compiled = Program::compile(device_, kernels_, arena_, graph, {.name = "sampler arithmetic"});
    if (!compiled) {
        programs_.erase(key);
        return std::move(compiled.error());
    }
    entry = *std::move(compiled);
    return entry.get();
}

Status GpuTensorMath::linear_combination(const Latent& out, std::span<const LatentTerm> terms) {
    PUMICE_TRY(check(out, terms));
    Key key{kCombine, out.slot()};
    std::array<float, kRows * kMaxTerms> weights{};
    for (std::size_t i = 0; i < terms.size(); ++i) {
        key.push_back(terms[i].latent.slot());
        weights[i] = static_cast<float>(terms[i].weight);
    }
    for (std::size_t row = 1; row < kRows; ++row) {
        weights[row * kMaxTerms] = 1;
        for (std::size_t i = 0; i < 3 && 4 + 3 * (row - 1) + i < kMaxTerms; ++i)
            weights[row * kMaxTerms + 1 + i] = weights[4 + 3 * (row - 1) + i];
    }
    PUMICE_TRY(write_range(device_, weights_, std::as_bytes(std::span(weights))));
    PUMICE_ASSIGN(Program * recorded, program(key));
    return recorded->run();
}

Status GpuTensorMath::blend(const Latent& out, const Latent& a, const Latent& b, const Latent& mask) {
    for (const Latent* latent : {&out, &a, &b, &mask})
        if (latent->math() != this) return Error{Code::invalid_argument, "blend of a foreign latent"};
    if (mask.slot() == out.slot() || mask.slot() == a.slot() || mask.slot() == b.slot())
        return Error{Code::invalid_argument, "the mask of a blend is another latent than the rest"};
    PUMICE_ASSIGN(Program * recorded, program({kBlend, out.slot(), a.slot(), b.slot(), mask.slot()}));
    return recorded->run();
}

Status GpuTensorMath::run_upload(const Latent& out) {
    PUMICE_TRY(write_range(device_, nchw_, std::as_bytes(std::span(host_))));
    PUMICE_ASSIGN(Program * recorded, program({kFromNchw, out.slot()}));
    return recorded->run();
}

Status GpuTensorMath::noise(const Latent& out) {
    if (out.math() != this) return Error{Code::invalid_argument, "noise into a foreign latent"};
    PUMICE_TRY(draw_(host_));
    return run_upload(out);
}

Status GpuTensorMath::brownian(const Latent& out, double lowest, double highest, double from, double to) {
    if (out.math() != this) return Error{Code::invalid_argument, "noise into a foreign latent"};
    if (!draw_brownian_) return Error{Code::unsupported, "there is no Brownian path here"};
    if (!(lowest > 0) || !(lowest < highest) || !std::isfinite(highest) || std::isnan(from) || std::isnan(to))
        return Error{Code::invalid_argument,
                     fmt::format("a Brownian path over {} to {}, asked from {} to {}", lowest, highest, from, to)};
    PUMICE_TRY(draw_brownian_(host_, lowest, highest, from, to));
    return run_upload(out);
}

Result<std::vector<LatentNorms>> GpuTensorMath::norms(const Latent& latent) {
    if (latent.math() != this) return Error{Code::invalid_argument, "norms of a foreign latent"};
    PUMICE_ASSIGN(Program * recorded, program({kNorms, latent.slot()}));
    PUMICE_TRY(recorded->run());
    std::vector<float> partial(norms_.size / sizeof(float));
    PUMICE_TRY(read_range(device_, norms_, std::as_writable_bytes(std::span(partial))));
    std::vector<LatentNorms> all(shape_.n);
    const std::size_t a_picture = partial.size() / shape_.n;
    for (std::size_t i = 0; i < partial.size(); i += 4) {
        LatentNorms& norms = all[i / a_picture];
        norms.sum += double(partial[i]);
        norms.squares += double(partial[i + 1]);
        norms.largest = std::max(norms.largest, double(partial[i + 2]));
    }
    return all;
}

Status GpuTensorMath::affine(const Latent& out, const Latent& x, std::span<const ChannelAffine> each) {
    PUMICE_TRY(check(out, x, each));
    const std::size_t c = shape_.c;
    std::vector<float> numbers(4 * each.size());
    for (std::size_t i = 0; i < each.size(); ++i) {
        float* of = numbers.data() + i / c * 4 * c + i % c;
        of[0] = static_cast<float>(each[i].scale);
        of[c] = static_cast<float>(each[i].offset);
        of[2 * c] = static_cast<float>(each[i].low);
        of[3 * c] = static_cast<float>(each[i].high);
    }
    PUMICE_TRY(write_range(device_, affine_, std::as_bytes(std::span(numbers))));
    PUMICE_ASSIGN(Program * recorded, program({kAffine, out.slot(), x.slot()}));
    return recorded->run();
}

Status GpuTensorMath::upload(const Latent& out, std::span<const float> nchw) {
    if (out.math() != this || nchw.size() != host_.size())
        return Error{Code::invalid_argument, fmt::format("{} numbers for a latent of {}", nchw.size(), host_.size())};
    std::copy(nchw.begin(), nchw.end(), host_.begin());
    return run_upload(out);
}

Result<std::vector<float>> GpuTensorMath::download(const Latent& latent) {
    if (latent.math() != this) return Error{Code::invalid_argument, "download of a foreign latent"};
    PUMICE_ASSIGN(Program * recorded, program({kToNchw, latent.slot()}));
    PUMICE_TRY(recorded->run());
    std::vector<float> nchw(host_.size());
    PUMICE_TRY(read_range(device_, nchw_, std::as_writable_bytes(std::span(nchw))));
    return nchw;
}

}  // namespace pumice
