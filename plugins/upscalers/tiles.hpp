// A side of a picture in overlapping pieces.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace pumice::upscalers {

/// Pixels [start, start + size of all pieces) are seen; of what is made of them [from, to) is kept.
struct Piece {
    std::uint32_t start, from, to;
};

/// Every pixel of [0, side) is kept once, and seen with `overlap` pixels around it or up to the picture's edge. All
/// pieces have one size, `seen`; starts are multiples of `align`, and so is `seen`, which reaches beyond the side only
/// where the side is not.
inline std::vector<Piece> cut(std::uint32_t side, std::uint32_t tile, std::uint32_t overlap, std::uint32_t align,
                              std::uint32_t& seen) {
    const auto up = [&](std::uint32_t v) { return (v + align - 1) / align * align; };
    const std::uint32_t all = up(side);
    overlap = up(overlap);
    seen = std::min(all, std::max(up(tile), 2 * overlap + align));
    std::vector<Piece> pieces;
    for (std::uint32_t at = 0; at < side;) {
        const std::uint32_t start = std::min(at < overlap ? 0 : at - overlap, all - seen);
        const std::uint32_t to = start + seen >= all ? side : start + seen - overlap;
        pieces.push_back({start, at, to});
        at = to;
    }
    return pieces;
}

}  // namespace pumice::upscalers
