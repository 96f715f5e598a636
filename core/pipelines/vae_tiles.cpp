#include "pipelines/vae_tiles.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "ops/ops.hpp"
#include "vulkan/command.hpp"

namespace pumice {
namespace {

/// Times that the statistics are measured; the figures are in tools/bench/results/memory.md.
constexpr int kMeasurings = 3;

/// A part of the decoder's first half that is not taken to be whole; a window of one line is of no use.
constexpr std::uint32_t kLeastTile = 4;

std::function<TensorId(Graph&)> first_part(Model& model, const BufferRange& latent, std::uint32_t height,
                                           std::uint32_t width, int level, BufferRange* kept, Shape* shape) {
    return [&model, latent, height, width, level, kept, shape](Graph& g) {
        const TensorId x = g.external({1, height, width, 4}, DType::f32, latent, "latent");
        const std::array unscaled{ops::Term{x, static_cast<float>(1.0 / model.config().vae.scaling_factor)}};
        const TensorId z = ops::cast(g, ops::linear_combination(g, unscaled), g.activation());
        const TensorId h = vae_decode_first(g, model.vae_weights(), z, level);
        if (g.error()) return TensorId{};
        *shape = g.shape(h);
        const std::array same{ops::Term{ops::cast(g, h, DType::f32), 1}};
        if (kept->buffer) return ops::linear_combination(g, same, g.external(*shape, DType::f32, *kept, "features"));
        return h;
    };
}

struct SecondGraph {
    BufferRange tile;
    Shape shape;
    int level = 0;
    std::vector<BufferRange> tables = {};
    VaeNorms norms = {};
    TensorId picture{}, bytes{};

    TensorId build(Model& model, Graph& g) {
        norms = {};
        // Shapes of the tables are those of the norms: found by a first, untabled graph, in order.
        for (std::size_t i = 0; i < tables.size(); ++i) {
            const auto channels = static_cast<std::uint32_t>(tables[i].size / (2 * sizeof(float)));
            norms.tables.push_back(g.external({1, 1, 2, channels}, DType::f32, tables[i], "norm"));
        }
        const TensorId h = ops::cast(g, g.external(shape, DType::f32, tile, "tile"), g.activation());
        picture = vae_decode_second(g, model.vae_weights(), h, level, &norms);
        if (g.error()) return {};
        bytes = ops::to_image(g, picture);
        g.keep(picture);
        g.keep(bytes);
        for (const TensorId id : norms.statistics) g.keep(id);
        return picture;
    }
};

std::uint32_t divide_up(std::uint32_t a, std::uint32_t b) { return (a + b - 1) / b; }

/// The window of one of `count` tiles along an axis of `whole`, with `reach` on both sides.
std::uint32_t window(std::uint32_t whole, std::uint32_t count, std::uint32_t reach, bool seamless) {
    if (count == 1 && !seamless) return whole;
    const std::uint32_t size = divide_up(whole, count) + 2 * reach;
    return seamless ? size : std::min(size, whole);
}

}  // namespace

Result<VaeDecodePlan> plan_vae_tiles(Model& model, std::uint32_t height, std::uint32_t width, Seamless seamless,
                                     std::uint64_t free) {
    WeightSet& weights = model.vae_weights();
    const BufferRange latent{Buffer::placeholder(), 0, std::uint64_t(height) * width * 4 * sizeof(float)};
    Error reason{Code::out_of_device_memory, "no device memory for the VAE decoder"};
    for (int level = 1; level <= vae_levels(weights); ++level) {
        BufferRange kept;
        Shape shape;
        const CheckedProgram::Options first{.name = "VAE decoder's first part",
                                            .seamless = seamless,
                                            .build = first_part(model, latent, height, width, level, &kept, &shape)};
        auto first_plan = CheckedProgram::plan(model, weights, first, free);
        const std::uint64_t bytes = shape.elements() * sizeof(float);
        VaeDecodePlan plan;
        plan.tiled = true;
        plan.level = level;
        plan.kept = bytes;
        if (first_plan) first_plan->activations += shape.elements() * sizeof(float);  // its result in f32, at most
        if (!first_plan || first_plan->peak() + bytes > free) {
            if (!first_plan) reason = std::move(first_plan.error());
            continue;
        }
        plan.first = *std::move(first_plan);
        const std::uint32_t reach = vae_second_reach(weights, level);
        // The fewest tiles that do: along the longer side first.
        for (std::uint32_t y = 1, x = 1; y <= shape.h && x <= shape.w;) {
            plan.tiles_y = y, plan.tiles_x = x;
            plan.tile_h = window(shape.h, y, reach, seamless.y);
            plan.tile_w = window(shape.w, x, reach, seamless.x);
            SecondGraph graph{.tile = {Buffer::placeholder(), 0, 16}, .shape = {1, plan.tile_h, plan.tile_w, shape.c},
                              .level = level};
            const std::uint64_t tile_bytes = graph.shape.elements() * sizeof(float);
            const CheckedProgram::Options second{.name = "VAE decoder's second part",
                                                 .build = [&](Graph& g) { return graph.build(model, g); }};
            if (bytes + tile_bytes < free) {
                auto second_plan = CheckedProgram::plan(model, weights, second, free - bytes - tile_bytes);
                if (second_plan) {
                    second_plan->activations += tile_bytes;
                    plan.second = *std::move(second_plan);
                    return plan;
                }
                reason = std::move(second_plan.error());
            }
            if (divide_up(shape.h, y) >= divide_up(shape.w, x)) ++y;
            else ++x;
            if (divide_up(shape.h, y) < kLeastTile || divide_up(shape.w, x) < kLeastTile) break;
        }
    }
    return reason;
}

struct VaeTiles::Second {
    SecondGraph graph{};
    std::unique_ptr<CheckedProgram> program = {};
};

std::vector<VaeTiles::Tile> VaeTiles::tiles(const Shape& whole) const {
    const std::uint32_t step_y = divide_up(whole.h, plan_.tiles_y), step_x = divide_up(whole.w, plan_.tiles_x);
    const auto begin = [](std::uint32_t from, std::uint32_t size, std::uint32_t step, std::uint32_t all, bool seamless) {
        const std::int64_t at = std::int64_t(from) - (std::int64_t(size) - step) / 2;
        return seamless ? at : std::clamp<std::int64_t>(at, 0, std::int64_t(all) - size);
    };
    std::vector<Tile> made;
    for (std::uint32_t y = 0; y < whole.h; y += step_y)
        for (std::uint32_t x = 0; x < whole.w; x += step_x)
            made.push_back({begin(y, plan_.tile_h, step_y, whole.h, seamless_.y),
                            begin(x, plan_.tile_w, step_x, whole.w, seamless_.x), y, x, std::min(y + step_y, whole.h),
                            std::min(x + step_x, whole.w)});
    return made;
}

Result<BufferRange> VaeTiles::first(Shape& shape, const std::atomic<bool>* cancel) {
    BufferRange kept;
    PUMICE_ASSIGN(kept, make_range(*model_.device(), plan_.kept, Intent::device, "decoded features"));
    PUMICE_ASSIGN(const auto program,
                  CheckedProgram::create(model_, model_.vae_weights(),
                                         {.name = "VAE decoder's first part",
                                          .seamless = seamless_,
                                          .build = first_part(model_, latent_, height_, width_, plan_.level, &kept,
                                                              &shape)}));
    PUMICE_TRY(program->run(cancel));
    fell_back_ = fell_back_ || program->fell_back();
    return kept;
}

/// Copies a window, around the ends of a seamless picture.
Status VaeTiles::cut_out(const BufferRange& from, const Shape& whole, const Tile& tile, const BufferRange& to) const {
    const std::uint64_t pixel = whole.c * sizeof(float);
    const auto wrapped = [](std::int64_t at, std::uint32_t size) {
        return static_cast<std::uint64_t>((at % size + size) % size);
    };
    std::vector<VkBufferCopy> copies;
    for (std::uint32_t row = 0; row < plan_.tile_h; ++row) {
        const std::uint64_t y = wrapped(tile.y + row, whole.h);
        for (std::uint32_t done = 0; done < plan_.tile_w;) {
            const std::uint64_t x = wrapped(tile.x + done, whole.w);
            const std::uint64_t count = std::min<std::uint64_t>(plan_.tile_w - done, whole.w - x);
            copies.push_back({from.offset + (y * whole.w + x) * pixel,
                              to.offset + (std::uint64_t(row) * plan_.tile_w + done) * pixel, count * pixel});
            done += static_cast<std::uint32_t>(count);
        }
    }
    return run_commands(model_.device(), [&](VkCommandBuffer commands) {
        vkCmdCopyBuffer(commands, from.buffer->handle(), to.buffer->handle(), static_cast<std::uint32_t>(copies.size()),
                        copies.data());
    });
}

/// Adds what a tile's norms saw of what is the tile's own; what lies around is another's.
Status VaeTiles::measure(Second& second, const Tile& tile, std::vector<Sums>& sums) const {
    const VaeNorms& norms = second.graph.norms;
    sums.resize(norms.shapes.size());
    for (std::size_t i = 0; i < norms.shapes.size(); ++i) {
        const Shape& s = norms.shapes[i];
        const ops::NormChunks chunks = ops::norm_chunks(s);
        std::vector<float> values(std::size_t(2) * chunks.count * s.c);
        PUMICE_TRY(read_range(model_.device(), second.program->program().range(norms.statistics[i]),
                              std::as_writable_bytes(std::span(values))));
        Sums& to = sums[i];
        for (auto* each : {&to.count, &to.sum, &to.squares}) each->resize(kVaeNormGroups, 0);
        const std::uint32_t width = s.c / kVaeNormGroups, scale = s.h / plan_.tile_h;
        const auto own = [scale](std::uint32_t at, std::uint32_t from, std::uint32_t end, std::int64_t begin) {
            const std::int64_t place = begin + at / scale;
            return place >= from && place < end;
        };
        for (std::uint32_t k = 0; k < chunks.count; ++k) {
            const auto pixels = static_cast<std::uint32_t>(s.tokens());
            const std::uint32_t first = k * chunks.pixels, all = std::min(chunks.pixels, pixels - first);
            double n = 0;
            for (std::uint32_t at = first; at < first + all; ++at)
                n += own(at / s.w, tile.from_y, tile.to_y, tile.y) && own(at % s.w, tile.from_x, tile.to_x, tile.x);
            if (n == 0) continue;
            const float* const means = values.data() + std::size_t(2) * k * s.c;
            for (std::uint32_t c = 0; c < s.c; ++c) {
                const double mean = double(means[c]);
                to.count[c / width] += n;
                to.sum[c / width] += n * mean;
                to.squares[c / width] += double(means[s.c + c]) * n / all + n * mean * mean;
            }
        }
    }
    return {};
}

Result<std::vector<std::vector<float>>> VaeTiles::tables(const VaeNorms& norms, const std::vector<Sums>& sums) const {
    std::vector<std::vector<float>> all;
    for (std::size_t i = 0; i < sums.size(); ++i) {
        PUMICE_ASSIGN(const auto gamma, model_.vae_weights().values(norms.names[i] + ".weight"));
        PUMICE_ASSIGN(const auto beta, model_.vae_weights().values(norms.names[i] + ".bias"));
        const std::uint32_t channels = norms.shapes[i].c, width = channels / kVaeNormGroups;
        auto& table = all.emplace_back(2 * channels);
        for (std::uint32_t c = 0; c < channels; ++c) {
            const double count = sums[i].count[c / width], mean = sums[i].sum[c / width] / count;
            const double variance = std::max(0.0, sums[i].squares[c / width] / count - mean * mean);
            const double factor = double(gamma[c]) / std::sqrt(variance + double(kVaeNormEps));
            table[c] = static_cast<float>(factor);
            table[channels + c] = static_cast<float>(double(beta[c]) - mean * factor);
        }
    }
    return all;
}

/// Takes what a tile has of the picture.
Status VaeTiles::keep(Second& second, const Shape& whole, const Tile& tile) {
    const std::uint32_t factor = model_.config().vae.factor() * width_ / whole.w;
    const std::size_t row = std::size_t(plan_.tile_w) * factor, rows = std::size_t(plan_.tile_h) * factor;
    const std::size_t all = std::size_t(whole.w) * factor;
    std::vector<std::uint8_t> bytes(4 * row * rows);
    std::vector<float> picture(4 * row * rows);
    Program& program = second.program->program();
    PUMICE_TRY(read_range(model_.device(), program.range(second.graph.bytes), std::as_writable_bytes(std::span(bytes))));
    PUMICE_TRY(
        read_range(model_.device(), program.range(second.graph.picture), std::as_writable_bytes(std::span(picture))));
    const auto left = static_cast<std::size_t>(std::int64_t(tile.from_x) - tile.x) * factor;
    const auto top = static_cast<std::size_t>(std::int64_t(tile.from_y) - tile.y) * factor;
    const std::size_t count = 4 * std::size_t(tile.to_x - tile.from_x) * factor;
    for (std::size_t y = std::size_t(tile.from_y) * factor; y < std::size_t(tile.to_y) * factor; ++y) {
        const std::size_t from = 4 * ((y - std::size_t(tile.from_y) * factor + top) * row + left);
        const std::size_t to = 4 * (y * all + std::size_t(tile.from_x) * factor);
        std::memcpy(bytes_.data() + to, bytes.data() + from, count);
        std::memcpy(picture_.data() + to, picture.data() + from, count * sizeof(float));
    }
    return {};
}

Status VaeTiles::run(const std::atomic<bool>* cancel) {
    const std::shared_ptr<Device>& device = model_.device();
    Shape whole;
    PUMICE_ASSIGN(const BufferRange features, first(whole, cancel));
    model_.vae_weights().release();  // those of the second part alone have their room
    const std::size_t pixels = std::size_t(height_) * width_ * model_.config().vae.factor() * model_.config().vae.factor();
    bytes_.assign(4 * pixels, 0);
    picture_.assign(4 * pixels, 0);
    Second second;
    second.graph.shape = {1, plan_.tile_h, plan_.tile_w, whole.c};
    second.graph.level = plan_.level;
    PUMICE_ASSIGN(second.graph.tile,
                  make_range(*device, second.graph.shape.elements() * sizeof(float), Intent::device, "tile"));
    const std::vector<Tile> all = tiles(whole);
    for (int pass = 0; pass <= kMeasurings; ++pass) {
        if (pass <= 1) {  // the first norms each tile by itself, those that follow by tables
            second.program.reset();
            PUMICE_ASSIGN(second.program,
                          CheckedProgram::create(model_, model_.vae_weights(),
                                                 {.name = "VAE decoder's second part",
                                                  .build = [this, graph = &second.graph](Graph& g) {
                                                      return graph->build(model_, g);
                                                  }}));
        }
        std::vector<Sums> sums;
        for (const Tile& tile : all) {
            PUMICE_TRY(cut_out(features, whole, tile, second.graph.tile));
            PUMICE_TRY(second.program->run(cancel));
            if (pass < kMeasurings) PUMICE_TRY(measure(second, tile, sums));
            else PUMICE_TRY(keep(second, whole, tile));
        }
        fell_back_ = fell_back_ || second.program->fell_back();
        if (pass == kMeasurings) break;
        PUMICE_ASSIGN(const auto values, tables(second.graph.norms, sums));
        for (std::size_t i = 0; i < values.size(); ++i) {
            const auto bytes = std::as_bytes(std::span(values[i]));
            if (pass == 0) {
                PUMICE_ASSIGN(second.graph.tables.emplace_back(),
                              make_range(*device, bytes.size(), Intent::device, "norm"));
            }
            PUMICE_TRY(write_range(device, second.graph.tables[i], bytes));
        }
    }
    return {};
}

}  // namespace pumice
