#include "graph/plan.hpp"

#include <algorithm>
#include <numeric>

namespace pumice {
namespace {

struct Placed {
    Lifetime life;
    std::uint64_t begin, end;
};

bool overlap(const Lifetime& a, const Lifetime& b) { return a.first <= b.last && b.first <= a.last; }

/// The lowest offset of a page where `size` bytes are free during `life`.
std::uint64_t lowest_gap(const std::vector<Placed>& page, const Lifetime& life, std::uint64_t size) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> taken;
    for (const Placed& p : page)
        if (overlap(p.life, life)) taken.emplace_back(p.begin, p.end);
    std::sort(taken.begin(), taken.end());
    std::uint64_t offset = 0;
    for (const auto& [begin, end] : taken) {
        if (offset + size <= begin) break;
        offset = std::max(offset, end);
    }
    return offset;
}

std::uint64_t round_up(std::uint64_t value, std::uint64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

std::uint64_t live_peak(const std::vector<Lifetime>& lives, const std::vector<std::uint64_t>& sizes) {
    std::vector<std::pair<std::uint32_t, std::int64_t>> events;  // at a dispatch: growth or, after it, shrinking
    for (std::size_t i = 0; i < lives.size(); ++i) {
        if (sizes[i] == 0) continue;
        events.emplace_back(lives[i].first, static_cast<std::int64_t>(sizes[i]));
        events.emplace_back(lives[i].last + 1, -static_cast<std::int64_t>(sizes[i]));
    }
    std::sort(events.begin(), events.end());
    std::int64_t live = 0, peak = 0;
    for (const auto& [when, bytes] : events) peak = std::max(peak, live += bytes);
    return static_cast<std::uint64_t>(peak);
}

}  // namespace

std::uint64_t Plan::total() const { return std::accumulate(page_sizes.begin(), page_sizes.end(), std::uint64_t(0)); }

std::vector<Lifetime> lifetimes(const Graph& graph) {
    std::vector<Lifetime> lives(graph.tensors().size());
    std::uint32_t step = 0;
    for (const Node& node : graph.nodes()) {
        for (const Dispatch& dispatch : node.dispatches) {
            for (const Binding& binding : dispatch.bindings) {
                Lifetime& life = lives[binding.tensor.index];
                life.first = std::min(life.first, step);
                life.last = std::max(life.last, step);
            }
            ++step;
        }
    }
    for (const TensorId id : graph.kept()) lives[id.index].last = std::max(step, lives[id.index].last);
    return lives;
}

Plan plan(const Graph& graph, std::uint64_t page_limit, std::uint64_t alignment) {
    const auto lives = lifetimes(graph);
    const auto& tensors = graph.tensors();
    Plan result;
    result.placements.resize(tensors.size());

    std::vector<std::uint64_t> sizes(tensors.size(), 0);  // 0: not ours to place
    std::vector<std::uint32_t> order;
    for (std::uint32_t i = 0; i < tensors.size(); ++i) {
        if (tensors[i].external.buffer || lives[i].first > lives[i].last) continue;
        sizes[i] = round_up(std::max<std::uint64_t>(tensors[i].bytes(), 1), alignment);
        order.push_back(i);
    }
    // Largest first leaves the small ones to fill the gaps.
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return sizes[a] > sizes[b]; });

    std::vector<std::vector<Placed>> pages;
    for (const std::uint32_t i : order) {
        std::uint32_t page = 0;
        std::uint64_t offset = 0;
        for (;; ++page) {
            if (page == pages.size()) {
                pages.emplace_back();
                result.page_sizes.push_back(0);
                offset = 0;
                break;
            }
            offset = lowest_gap(pages[page], lives[i], sizes[i]);
            if (offset + sizes[i] <= std::max(page_limit, result.page_sizes[page])) break;
        }
        pages[page].push_back({lives[i], offset, offset + sizes[i]});
        result.page_sizes[page] = std::max(result.page_sizes[page], offset + sizes[i]);
        result.placements[i] = {page, offset};
    }
    result.peak = live_peak(lives, sizes);
    return result;
}

}  // namespace pumice
