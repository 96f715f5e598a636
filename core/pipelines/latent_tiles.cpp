#include "pipelines/latent_tiles.hpp"

#include <algorithm>

#include "ops/ops.hpp"
#include "pipelines/checked_program.hpp"
#include "vulkan/command.hpp"

namespace pumice {

Tiling Tiling::within(const Shape& latent) const {
    return {height ? std::min(height, latent.h) : latent.h, width ? std::min(width, latent.w) : latent.w, overlap};
}

bool Tiling::covers(const Shape& latent) const {
    const Tiling tile = within(latent);
    return tile.height == latent.h && tile.width == latent.w;
}

std::vector<std::uint32_t> tile_starts(std::uint32_t size, std::uint32_t tile, std::uint32_t overlap, bool wraps) {
    if (tile >= size) return {0};
    const std::uint64_t stride = tile - std::min(overlap, tile - 1);
    const std::uint64_t reach = wraps ? size : size - tile;  // of the first pixels
    const std::uint64_t gaps = (reach + stride - 1) / stride, count = wraps ? gaps : gaps + 1;
    std::vector<std::uint32_t> starts;
    for (std::uint64_t i = 0; i < count; ++i) starts.push_back(static_cast<std::uint32_t>(i * reach / gaps));
    return starts;
}

std::vector<float> tile_weights(std::uint32_t size, std::uint32_t tile, std::uint32_t overlap,
                                const std::vector<std::uint32_t>& starts) {
    const auto height = [&](std::uint32_t i) { return std::min({i + 1, tile - i, overlap + 1}); };
    std::vector<std::uint64_t> sums(size);
    for (const std::uint32_t start : starts)
        for (std::uint32_t i = 0; i < tile; ++i) sums[(start + i) % size] += height(i);
    std::vector<float> weights;
    for (const std::uint32_t start : starts)
        for (std::uint32_t i = 0; i < tile; ++i)
            weights.push_back(static_cast<float>(double(height(i)) / double(sums[(start + i) % size])));
    return weights;
}

LatentTiles::~LatentTiles() = default;

Result<std::unique_ptr<LatentTiles>> LatentTiles::create(Model& model, GpuTensorMath& math, const Shape& shape,
                                                         const Tiling& tiling, Seamless seamless) {
    std::unique_ptr<LatentTiles> made(new LatentTiles(model, math));
    const Tiling size = tiling.within(shape);
    made->shape_ = shape;
    made->tile_ = {shape.n, size.height, size.width, shape.c};
    const bool round_y = seamless.y && size.height < shape.h, round_x = seamless.x && size.width < shape.w;
    made->seamless_ = {seamless.x && !round_x, seamless.y && !round_y};
    const auto rows = tile_starts(shape.h, size.height, size.overlap, round_y);
    const auto columns = tile_starts(shape.w, size.width, size.overlap, round_x);
    std::vector<float> weights = tile_weights(shape.h, size.height, size.overlap, rows);
    const std::size_t row_count = weights.size();
    const std::vector<float> across = tile_weights(shape.w, size.width, size.overlap, columns);
    weights.insert(weights.end(), across.begin(), across.end());
    for (std::size_t y = 0; y < rows.size(); ++y)
        for (std::size_t x = 0; x < columns.size(); ++x)
            made->places_.push_back({rows[y], columns[x], static_cast<std::uint32_t>(y * size.height),
                                     static_cast<std::uint32_t>(row_count + x * size.width), nullptr, nullptr});
    made->weight_count_ = weights.size();
    PUMICE_ASSIGN(made->weights_,
                  make_range(*model.device(), weights.size() * sizeof(float), Intent::device, "tile weights"));
    PUMICE_TRY(write_range(model.device(), made->weights_, std::as_bytes(std::span<const float>(weights))));
    const auto no_noise = [](std::span<float>) -> Status {
        return Error{Code::unsupported, "a method of guidance draws no noise where the latent is tiled"};
    };
    PUMICE_ASSIGN(made->tile_math_,
                  GpuTensorMath::create(model.device(), *model.kernels(), made->tile_, model.precision(), no_noise));
    PUMICE_ASSIGN(made->x_, math.create_latent());
    PUMICE_ASSIGN(made->sum_, math.create_latent());
    PUMICE_ASSIGN(made->in_, made->tile_math_->create_latent());
    PUMICE_ASSIGN(made->out_, made->tile_math_->create_latent());
    return made;
}

Status LatentTiles::record(Place& place) {
    const std::shared_ptr<Device>& device = model_.device();
    const Precision precision = model_.precision() == Precision::exact ? Precision::exact : Precision::fp32;
    const ops::TilePlace at{place.top, place.left};
    Graph cut(device->caps(), precision, device->assumed_gflops()), lay = cut;
    ops::cut_tile(cut, cut.external(shape_, DType::f32, math_.range(x_), "x"), at,
                  cut.external(tile_, DType::f32, tile_math_->range(in_), "tile"));
    if (const Error* error = cut.error()) return *error;
    PUMICE_ASSIGN(place.cut, Program::compile(device, *model_.kernels(), arena_, cut, {.name = "tile"}));
    ops::lay_tile(lay, lay.external(shape_, DType::f32, math_.range(sum_), "sum"),
                  lay.external(tile_, DType::f32, tile_math_->range(out_), "tile"), at,
                  lay.external({1, 1, 1, static_cast<std::uint32_t>(weight_count_)}, DType::f32, weights_, "weights"),
                  place.row_weights, place.column_weights);
    if (const Error* error = lay.error()) return *error;
    PUMICE_ASSIGN(place.lay, Program::compile(device, *model_.kernels(), arena_, lay, {.name = "tile"}));
    return {};
}

std::vector<float> LatentTiles::cut(const std::vector<float>& nhwc, std::uint32_t channels, std::size_t tile) const {
    if (nhwc.empty()) return {};
    const Place& place = places_[tile];
    std::vector<float> part;
    const std::size_t pictures = nhwc.size() / (shape_.tokens() * channels);
    for (std::size_t n = 0; n < pictures; ++n)
        for (std::uint32_t i = 0; i < tile_.h; ++i)
            for (std::uint32_t j = 0; j < tile_.w; ++j) {
                const std::size_t row = (place.top + i) % shape_.h, column = (place.left + j) % shape_.w;
                const auto at = nhwc.begin() + static_cast<std::ptrdiff_t>(
                                                   ((n * shape_.h + row) * shape_.w + column) * channels);
                part.insert(part.end(), at, at + channels);
            }
    return part;
}

Status LatentTiles::run(const Latent& x, const Latent& denoised,
                        const std::function<Status(std::size_t, const Latent&, const Latent&)>& each) {
    PUMICE_TRY(math_.combine(x_, {{1, x}}));
    PUMICE_TRY(math_.combine(sum_, {{0, x}}));
    for (std::size_t i = 0; i < places_.size(); ++i) {
        Place& place = places_[i];
        if (!place.cut) PUMICE_TRY(record(place));
        PUMICE_TRY(place.cut->run());
        PUMICE_TRY(each(i, in_, out_));
        PUMICE_TRY(place.lay->run());
    }
    return math_.combine(denoised, {{1, sum_}});
}

}  // namespace pumice
