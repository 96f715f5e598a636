#include "text/bpe.hpp"

#include <array>
#include <functional>
#include <queue>
#include <utility>

namespace pumice {
namespace {

constexpr bool prints(int byte) {
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

constexpr std::array<std::uint8_t, 256> bytes_in_order() {
    std::array<std::uint8_t, 256> order{};
    std::size_t place = 0;
    for (const bool printing : {true, false})
        for (int byte = 0; byte < 256; ++byte)
            if (prints(byte) == printing) order[place++] = static_cast<std::uint8_t>(byte);
    return order;
}

constexpr std::array<std::uint8_t, 256> byte_of_place = bytes_in_order();

constexpr std::array<std::uint8_t, 256> places_of_bytes() {
    std::array<std::uint8_t, 256> places{};
    for (std::size_t place = 0; place < 256; ++place) places[byte_of_place[place]] = static_cast<std::uint8_t>(place);
    return places;
}

constexpr std::array<std::uint8_t, 256> place_of_byte = places_of_bytes();

/// A word while it is being merged: a list of pieces linked both ways, so that joining two is one step.
struct Link {
    BytePairs::Piece piece;
    std::uint32_t previous, next;
    bool alive = true;
};

constexpr std::uint32_t none = UINT32_MAX;

}  // namespace

BytePairs::Piece BytePairs::byte_piece(std::uint8_t byte) {
    return place_of_byte[byte];
}

void BytePairs::reserve(std::size_t merges) {
    merges_.reserve(merges);
    parts_.reserve(merges);
}

void BytePairs::add_merge(Piece left, Piece right, Piece result) {
    merges_.try_emplace(key(left, right), Merge{static_cast<std::uint32_t>(merges_.size()), result});
    if (result == piece_count()) parts_.push_back({left, right});
}

void BytePairs::encode(std::string_view word, std::vector<Piece>& pieces) const {
    const auto size = static_cast<std::uint32_t>(word.size());
    std::vector<Link> links(size);
    for (std::uint32_t i = 0; i < size; ++i)
        links[i] = {byte_piece(static_cast<std::uint8_t>(word[i])), i == 0 ? none : i - 1,
                    i + 1 == size ? none : i + 1};
    links.back().piece += end_of_word;

    using Candidate = std::pair<std::uint32_t, std::uint32_t>;  // rank, place of the left piece
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
    const auto find = [&](std::uint32_t left) {
        return links[left].next == none ? merges_.end()
                                        : merges_.find(key(links[left].piece, links[links[left].next].piece));
    };
    const auto propose = [&](std::uint32_t left) {
        if (left == none) return;
        if (const auto merge = find(left); merge != merges_.end()) candidates.emplace(merge->second.rank, left);
    };
    for (std::uint32_t i = 0; i < size; ++i) propose(i);

    // All places of the best pair are joined before the pairs that this makes compete, as in the reference.
    std::vector<std::uint32_t> joined;
    while (!candidates.empty()) {
        const std::uint32_t rank = candidates.top().first;
        joined.clear();
        while (!candidates.empty() && candidates.top().first == rank) {
            const std::uint32_t at = candidates.top().second;
            candidates.pop();
            if (!links[at].alive) continue;
            const auto merge = find(at);
            if (merge == merges_.end() || merge->second.rank != rank) continue;  // one of the two has changed since
            Link& gone = links[links[at].next];
            gone.alive = false;
            links[at].piece = merge->second.result;
            links[at].next = gone.next;
            if (gone.next != none) links[gone.next].previous = at;
            joined.push_back(at);
        }
        for (const std::uint32_t at : joined) {
            propose(links[at].previous);
            propose(at);
        }
    }
    for (std::uint32_t i = 0; i != none; i = links[i].next) pieces.push_back(links[i].piece);
}

bool BytePairs::spell(Piece piece, std::string& bytes) const {
    std::vector<Piece> pending{piece};
    bool ends_word = false;
    while (!pending.empty()) {
        const Piece top = pending.back();
        pending.pop_back();
        if (top >= first_merged) {
            pending.push_back(parts_[top - first_merged].right);
            pending.push_back(parts_[top - first_merged].left);
        } else {
            bytes.push_back(static_cast<char>(byte_of_place[top % 256]));
            ends_word = top >= end_of_word;
        }
    }
    return ends_word;
}

}  // namespace pumice
