#include "models/merge.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/exact_math.hpp"
#include "models/configs.hpp"

namespace pumice {
namespace {

constexpr std::uint64_t kPiece = std::uint64_t(1) << 18;  // elements; a multiple of every block

/// Reads the same elements of two tensors, in rising pieces.
template <class Each>
Status for_each_pair(const OutputTensor& a, const OutputTensor& b, Each&& each) {
    const std::uint64_t count = a.element_count();
    std::vector<float> x, y;
    for (std::uint64_t first = 0; first < count; first += kPiece) {
        x.resize(static_cast<std::size_t>(std::min(kPiece, count - first)));
        y.resize(x.size());
        PUMICE_TRY(a.elements(first, x));
        PUMICE_TRY(b.elements(first, y));
        for (std::size_t i = 0; i < x.size(); ++i) each(double(x[i]), double(y[i]));
    }
    return {};
}

/// What A and B are multiplied with.
struct Shares {
    double a = 0, b = 0;
};

/// Shoemake, "Animating rotation with quaternion curves" (SIGGRAPH 1985); where the directions nearly agree, or one of
/// the tensors is 0, the straight line.
Result<Shares> slerp_shares(const OutputTensor& a, const OutputTensor& b, double t) {
    double aa = 0, bb = 0, ab = 0;
    PUMICE_TRY(for_each_pair(a, b, [&](double x, double y) { aa += x * x, bb += y * y, ab += x * y; }));
    const Shares line{1 - t, t};
    if (!(aa > 0 && bb > 0)) return line;
    const double cosine = std::clamp(ab / (std::sqrt(aa) * std::sqrt(bb)), -1.0, 1.0);
    if (std::abs(cosine) > 0.9995) return line;
    const double angle = exact::acos(cosine), sine = exact::sin(angle);
    return Shares{exact::sin((1 - t) * angle) / sine, exact::sin(t * angle) / sine};
}

/// a * shares.a + b * shares.b + c * share_of_c.
ReadElements mixed(const OutputTensor& a, const OutputTensor& b, const OutputTensor* c, Shares shares,
                   double share_of_c) {
    const ReadElements third = c ? c->elements : ReadElements();
    return [x = a.elements, y = b.elements, third, shares, share_of_c](std::uint64_t first,
                                                                       std::span<float> to) -> Status {
        std::vector<float> b_values(to.size()), c_values(third ? to.size() : 0);
        PUMICE_TRY(x(first, to));
        PUMICE_TRY(y(first, b_values));
        if (third) PUMICE_TRY(third(first, c_values));
        for (std::size_t i = 0; i < to.size(); ++i) {
            double sum = double(to[i]) * shares.a + double(b_values[i]) * shares.b;
            if (third) sum += double(c_values[i]) * share_of_c;
            to[i] = static_cast<float>(sum);
        }
        return {};
    };
}

/// Slerp's shares need the whole tensors: they are found when the first piece is asked for.
ReadElements along_circle(const OutputTensor& a, const OutputTensor& b, double t) {
    auto shares = std::make_shared<std::optional<Shares>>();
    return [a, b, t, shares](std::uint64_t first, std::span<float> to) -> Status {
        if (!*shares) {
            PUMICE_ASSIGN(*shares, slerp_shares(a, b, t));
        }
        return mixed(a, b, nullptr, **shares, 0)(first, to);
    };
}

int count_inputs(const WeightFile& file) {
    int n = 0;
    while (file.has_prefix(fmt::format("{}input_blocks.{}.", kUnetPrefix, n))) ++n;
    return n;
}

/// The tensor of `file` that goes with `t`; null when there is none.
Result<const StoredTensor*> partner(const WeightFile& file, const StoredTensor& t) {
    const StoredTensor* const other = file.find(t.name);
    if (!other || !is_float(other->dtype)) return nullptr;
    if (other->shape == t.shape) return other;
    return Error{Code::bad_format,
                 fmt::format("{}: tensor '{}' has shape {}, but {} in the first model: they cannot be merged",
                             file.path(), printable(t.name), shape_string(other->shape), shape_string(t.shape))};
}

}  // namespace

int unet_block_index(std::string_view name, int inputs) {
    if (!name.starts_with(kUnetPrefix)) return -1;
    name.remove_prefix(kUnetPrefix.size());
    if (name.starts_with("middle_block.")) return inputs;
    constexpr std::string_view kIn = "input_blocks.", kOut = "output_blocks.";
    const bool in = name.starts_with(kIn);
    if (!in && !name.starts_with(kOut)) return -1;
    name.remove_prefix(in ? kIn.size() : kOut.size());
    int n = -1;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), n);
    if (error != std::errc() || n < 0 || n >= inputs) return -1;
    return in ? n : inputs + 1 + n;
}

Result<OutputModel> merged_model(const WeightFile& a, const WeightFile& b, const WeightFile* c,
                                 const MergeOptions& options, std::size_t& kept) {
    const int inputs = count_inputs(a);
    if (!options.blocks.empty() && options.blocks.size() != static_cast<std::size_t>(2 * inputs + 1))
        return Error{Code::invalid_argument, fmt::format("blocks: {} numbers, but the UNet of {} has {} blocks",
                                                         options.blocks.size(), a.path(), 2 * inputs + 1)};
    OutputModel model{a.metadata(), {}};
    kept = 0;
    for (const StoredTensor& t : a.tensors()) {
        const OutputTensor first = copied(a, t);
        const StoredTensor *second = nullptr, *third = nullptr;
        if (is_float(t.dtype)) {
            PUMICE_ASSIGN(second, partner(b, t));
            if (c) {
                PUMICE_ASSIGN(third, partner(*c, t));
            }
        }
        if (!second || (c && !third)) {
            kept += is_float(t.dtype) ? 1 : 0;
            model.tensors.push_back(first);
            continue;
        }
        const int block = options.blocks.empty() ? -1 : unet_block_index(t.name, inputs);
        const double alpha = block >= 0 ? options.blocks[static_cast<std::size_t>(block)] : options.alpha;
        const OutputTensor other = copied(b, *second);
        ReadElements values;
        if (options.method == MergeMethod::slerp) {
            values = along_circle(first, other, alpha);
        } else if (options.method == MergeMethod::weighted_sum) {
            values = mixed(first, other, nullptr, {1 - alpha, alpha}, 0);
        } else {
            const OutputTensor base = copied(*c, *third);
            values = mixed(first, other, &base, {1, alpha}, -alpha);
        }
        model.tensors.push_back(made(t.name, t.dtype, t.shape, std::move(values)));
    }
    return model;
}

}  // namespace pumice
