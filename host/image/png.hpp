// PNG with a text that says how the picture was made.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "pumice/pumice.hpp"

namespace pumice::host {

/// A text in a PNG, UTF-8.
struct PngText {
    std::string keyword, text;
};

struct PngImage {
    std::uint32_t width = 0, height = 0;  ///< pixels
    std::span<const std::uint8_t> rgb;    ///< 3 bytes a pixel, row by row from the top
    std::string parameters;               ///< UTF-8, kept under the keyword "parameters"; empty: none
    bool alpha = false;                   ///< `rgb` has a fourth byte a pixel
    std::string recipe = {};              ///< likewise under the keyword "pumice"
};

/// 8 bits a channel. The text is a tEXt chunk where Latin-1 can hold it, else iTXt, as Pillow and so AUTOMATIC1111
/// write it.
Expected<std::vector<std::uint8_t>> encode_png(const PngImage&);

/// A picture that was read.
struct DecodedImage {
    std::uint32_t width = 0, height = 0, channels = 3;  ///< 3: RGB, 4: RGBA
    std::vector<std::uint8_t> pixels;                   ///< row by row from the top
};

/// Any PNG, as 8 bits a channel; with alpha where the file has transparency. Sides up to 65536, and 2^30 pixels at
/// most. PUMICE_BAD_FORMAT names the file.
Expected<DecodedImage> decode_png(std::span<const std::uint8_t> bytes, const std::string& file);
/// PUMICE_NOT_FOUND, PUMICE_IO, and as above.
Expected<DecodedImage> read_png(const std::filesystem::path& file);

/// Its RGB over white.
std::vector<std::uint8_t> on_white(const DecodedImage&);
/// The luma of BT.601, as Pillow converts to "L".
std::vector<std::uint8_t> to_gray(std::span<const std::uint8_t> rgb);

/// The texts that stand before a PNG's pixels (tEXt, zTXt, iTXt), and its size. At most 200 chunks, of 16 MiB unpacked each.
/// PUMICE_BAD_FORMAT names the file and says what is damaged.
struct PngTexts {
    std::uint32_t width = 0, height = 0;
    std::vector<PngText> texts;
};
Expected<PngTexts> decode_png_texts(std::span<const std::uint8_t> bytes, const std::string& file);
/// PUMICE_NOT_FOUND, PUMICE_IO, and as above.
Expected<PngTexts> read_png_texts(const std::filesystem::path& file);

}  // namespace pumice::host
