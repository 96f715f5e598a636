// Byte pair encoding as CLIP does it: a word's bytes, the last one marked, joined pair by pair in the order of a list.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pumice {

/// Pieces of words have numbers: 0…255 a byte (its place in CLIP's order), 256…511 the same at the end of a word, from
/// 512 on what the merges make.
class BytePairs {
public:
    using Piece = std::uint32_t;

    static constexpr Piece end_of_word = 256;   ///< added to a byte's piece
    static constexpr Piece first_merged = 512;  ///< what the first merge makes

    /// CLIP's place of a byte: first those that print in Latin-1, then the others.
    static Piece byte_piece(std::uint8_t byte);

    void reserve(std::size_t merges);

    /// Adds the next merge, of lower priority than all before it. `result` is the piece it makes: the next new one
    /// (piece_count()), or an earlier one that is spelled the same.
    void add_merge(Piece left, Piece right, Piece result);

    Piece piece_count() const { return first_merged + static_cast<Piece>(parts_.size()); }

    /// The pieces of one word (any bytes, not empty), appended. Takes n log n for n bytes.
    void encode(std::string_view word, std::vector<Piece>& pieces) const;

    /// Appends the piece's bytes; true if it ends a word.
    bool spell(Piece piece, std::string& bytes) const;

private:
    struct Merge {
        std::uint32_t rank;
        Piece result;
    };
    struct Parts {
        Piece left, right;
    };

    static std::uint64_t key(Piece left, Piece right) { return std::uint64_t{left} << 32 | right; }

    std::unordered_map<std::uint64_t, Merge> merges_;
    std::vector<Parts> parts_;  ///< of piece first_merged + i
};

}  // namespace pumice
