// Reads NumPy's .npy files (format 1.0 to 3.0, C order): float32, float64, int32, int64.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/result.hpp"

namespace pumice {

template <class T>
struct Npy {
    std::vector<std::uint64_t> shape;  ///< empty: a scalar
    std::vector<T> data;               ///< row-major
};

namespace npy_detail {

struct Header {
    std::string descr;
    std::vector<std::uint64_t> shape;
    std::uint64_t elements = 1;
    std::size_t data_at = 0;  ///< byte in the file
};

/// The text after `'key':` in the header's dictionary, leading blanks dropped; empty when there is none.
inline std::string_view value_of(std::string_view dictionary, std::string_view key) {
    std::string quoted(1, '\'');
    quoted.append(key).append("':");
    const std::size_t at = dictionary.find(quoted);
    if (at == std::string_view::npos) return {};
    dictionary.remove_prefix(at + quoted.size());
    dictionary.remove_prefix(std::min(dictionary.find_first_not_of(' '), dictionary.size()));
    return dictionary;
}

inline bool parse_shape(std::string_view text, Header& header) {
    if (text.empty() || text.front() != '(') return false;
    const std::size_t end = text.find(')');
    if (end == std::string_view::npos) return false;
    std::uint64_t number = 0;
    bool digits = false;
    for (char c : text.substr(1, end)) {
        if (c >= '0' && c <= '9') {
            if (number > (std::numeric_limits<std::uint64_t>::max() >> 8)) return false;
            number = number * 10 + static_cast<std::uint64_t>(c - '0');
            digits = true;
        } else if (c == ',' || c == ')') {
            if (!digits) continue;
            if (number != 0 && header.elements > (std::uint64_t{1} << 40) / number) return false;
            header.elements *= number;
            header.shape.push_back(number);
            number = 0;
            digits = false;
        } else if (c != ' ') {
            return false;
        }
    }
    return true;
}

inline Result<Header> parse_header(std::string_view bytes, const std::string& name) {
    const auto bad = [&name](const char* what) { return Error{Code::bad_format, name + ": " + what}; };
    if (bytes.size() < 12 || bytes.substr(0, 6) != std::string_view("\x93NUMPY", 6)) return bad("not a .npy file");
    const int major = bytes[6];
    if (major < 1 || major > 3) return bad("unknown .npy version");
    const std::size_t length_bytes = major == 1 ? 2 : 4;
    std::size_t length = 0;
    for (std::size_t i = 0; i < length_bytes; ++i)
        length |= static_cast<std::size_t>(static_cast<unsigned char>(bytes[8 + i])) << (8 * i);
    Header header;
    header.data_at = 8 + length_bytes + length;
    if (header.data_at > bytes.size()) return bad("the header ends outside the file");
    const std::string_view dictionary = bytes.substr(8 + length_bytes, length);
    const std::string_view descr = value_of(dictionary, "descr");
    if (descr.size() < 5 || descr[0] != '\'' || descr[4] != '\'') return bad("no plain 'descr'");
    header.descr = descr.substr(1, 3);
    if (value_of(dictionary, "fortran_order").substr(0, 5) != "False") return bad("Fortran order");
    if (!parse_shape(value_of(dictionary, "shape"), header)) return bad("damaged 'shape'");
    return header;
}

}  // namespace npy_detail

/// T is float, double, std::int32_t or std::int64_t and must be what the file holds. Code::io, Code::bad_format.
template <class T>
Result<Npy<T>> read_npy(const std::filesystem::path& file) {
    static_assert(std::endian::native == std::endian::little);
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, std::int32_t> ||
                  std::is_same_v<T, std::int64_t>);
    std::ifstream stream(file, std::ios::binary);
    if (!stream) return Error{Code::io, file.string() + ": cannot be read"};
    const std::string bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    PUMICE_ASSIGN(npy_detail::Header header, npy_detail::parse_header(bytes, file.string()));
    const std::string expected = std::string(std::is_floating_point_v<T> ? "<f" : "<i") + std::to_string(sizeof(T));
    if (header.descr != expected)
        return Error{Code::bad_format, file.string() + ": holds " + header.descr + ", expected " + expected};
    if (bytes.size() - header.data_at != header.elements * sizeof(T))
        return Error{Code::bad_format, file.string() + ": shape and file size disagree"};
    Npy<T> npy{std::move(header.shape), std::vector<T>(header.elements)};
    if (!npy.data.empty()) std::memcpy(npy.data.data(), bytes.data() + header.data_at, header.elements * sizeof(T));
    return npy;
}

}  // namespace pumice
