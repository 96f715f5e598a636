#include "upscale.hpp"

#include <algorithm>
#include <cmath>

#include "tiles.hpp"

namespace pumice::upscalers {
namespace {

constexpr std::uint32_t kResampleTile = 1024;  // pixels of the output

/// The input that outputs [first, first + count) of a side are made from: a few pixels more than a Lanczos window
/// reaches.
struct Span {
    std::uint32_t start, size;
};
Span sources(std::uint32_t in, std::uint32_t out, std::uint32_t first, std::uint32_t count) {
    const double factor = static_cast<double>(in) / out, reach = 3 * std::max(1.0, factor) + 2;
    const double low = std::max(0.0, std::floor(first * factor - reach));
    const double high = std::min<double>(in, std::ceil((first + count) * factor + reach));
    return {static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(high - low)};
}

}  // namespace

std::uint32_t resample_steps(const sdk::Picture& out) {
    const auto pieces = [](std::uint32_t side) { return (side + kResampleTile - 1) / kResampleTile; };
    return pieces(out.width()) * pieces(out.height());
}

void resample(sdk::Job& job, const sdk::Picture& in, sdk::Picture& out, std::uint32_t method, std::uint32_t channels,
              Steps& steps) {
    for (std::uint32_t y = 0; y < out.height() && job.ok(); y += kResampleTile)
        for (std::uint32_t x = 0; x < out.width() && job.ok(); x += kResampleTile) {
            const std::uint32_t rows = std::min(kResampleTile, out.height() - y);
            const std::uint32_t columns = std::min(kResampleTile, out.width() - x);
            const Span across = sources(in.width(), out.width(), x, columns);
            const Span down = sources(in.height(), out.height(), y, rows);
            sdk::Program program(job, "resampling", [&](sdk::Graph& g) {
                pumice_resample_options o{};
                o.method = method;
                o.rows = rows, o.columns = columns;
                o.window = 1;
                o.in_rows = in.height(), o.in_columns = in.width(), o.in_y = down.start, o.in_x = across.start;
                o.out_rows = out.height(), o.out_columns = out.width(), o.out_y = y, o.out_x = x;
                g.output(g.resample(g.input(down.size, across.size, 4), o));
            });
            program.write(in, static_cast<std::int32_t>(across.start), static_cast<std::int32_t>(down.start));
            program.run();
            program.read(out, 0, 0, columns, rows, x, y, channels);
            job.step(++steps.done, steps.all);
        }
}

TileOptions fitting(sdk::Job& job, const TileOptions& wanted, double bytes_per_pixel) {
    constexpr std::uint32_t kLeast = 32;
    pumice_graph_info info{};
    info.struct_size = sizeof info;
    if (!job.ok() || !job.take(job.graph->info(job.host, &info))) return wanted;
    TileOptions tiles = wanted;
    const auto needed = [&] {
        const double side = std::max(tiles.tile, 2 * tiles.overlap + kLeast);
        return side * side * bytes_per_pixel;
    };
    while (tiles.tile > kLeast && needed() > 0.7 * static_cast<double>(info.memory_bytes)) tiles.tile /= 2;
    return tiles;
}

std::uint32_t enlarge_steps(const sdk::Picture& in, const TileOptions& options, std::uint32_t align) {
    std::uint32_t seen = 0;
    const std::size_t across = cut(in.width(), options.tile, options.overlap, align, seen).size();
    return static_cast<std::uint32_t>(across * cut(in.height(), options.tile, options.overlap, align, seen).size());
}

template <class Network>
void enlarge(sdk::Job& job, const Network& network, const sdk::WeightFile& file, const sdk::Picture& in,
             sdk::Picture& out, const TileOptions& options, Steps& steps, std::uint32_t align) {
    std::uint32_t tile_w = 0, tile_h = 0;
    const auto columns = cut(in.width(), options.tile, options.overlap, align, tile_w);
    const auto rows = cut(in.height(), options.tile, options.overlap, align, tile_h);
    sdk::Program program(job, "upscaler",
                         [&](sdk::Graph& g) { g.output(network.append(g, file, g.input(tile_h, tile_w, 4))); });
    // A factor below 1 (pixels unshuffled by 4 and doubled once) has whole output pixels at multiples of `align` alone.
    const double scale = network.scale();
    const auto scaled = [&](std::uint32_t v) { return static_cast<std::uint32_t>(std::floor(v * scale)); };
    for (const Piece& row : rows)
        for (const Piece& column : columns) {
            if (!job.ok()) return;
            program.write(in, static_cast<std::int32_t>(column.start), static_cast<std::int32_t>(row.start));
            program.run();
            const std::uint32_t x = scaled(column.from), y = scaled(row.from);
            program.read(out, x - scaled(column.start), y - scaled(row.start), scaled(column.to) - x,
                         scaled(row.to) - y, x, y);
            job.step(++steps.done, steps.all);
        }
}

template void enlarge(sdk::Job&, const Rrdb&, const sdk::WeightFile&, const sdk::Picture&, sdk::Picture&,
                      const TileOptions&, Steps&, std::uint32_t);
template void enlarge(sdk::Job&, const Compact&, const sdk::WeightFile&, const sdk::Picture&, sdk::Picture&,
                      const TileOptions&, Steps&, std::uint32_t);

}  // namespace pumice::upscalers
