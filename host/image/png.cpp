#include "image/png.hpp"

#include <png.h>

#include <csetjmp>
#include <fstream>
#include <iterator>
#include <optional>

#include <fmt/format.h>

namespace pumice::host {
namespace {

/// UTF-8 to Latin-1; empty when a character is not in it.
std::optional<std::string> to_latin1(const std::string& utf8) {
    std::string latin1;
    for (std::size_t i = 0; i < utf8.size(); ++i) {
        const auto byte = static_cast<unsigned char>(utf8[i]);
        if (byte < 0x80) {
            latin1 += utf8[i];
        } else if ((byte == 0xC2 || byte == 0xC3) && i + 1 < utf8.size()) {
            const auto next = static_cast<unsigned char>(utf8[++i]);
            latin1 += static_cast<char>((byte & 0x03u) << 6 | (next & 0x3Fu));
        } else {
            return std::nullopt;
        }
    }
    return latin1;
}

/// What libpng's callbacks reach.
struct Writer {
    std::vector<std::uint8_t> bytes;
    std::string error;
    std::jmp_buf jump;
};

void on_write(png_structp png, png_bytep data, png_size_t size) {
    auto* writer = static_cast<Writer*>(png_get_io_ptr(png));
    try {
        writer->bytes.insert(writer->bytes.end(), data, data + size);
        return;
    } catch (...) {
    }
    png_error(png, "out of memory");
}

void on_error(png_structp png, png_const_charp message) {
    auto* writer = static_cast<Writer*>(png_get_error_ptr(png));
    try {
        writer->error = message;
    } catch (...) {  // then without a reason
    }
    std::longjmp(writer->jump, 1);
}

void on_warning(png_structp, png_const_charp) {}

/// No object here has a destructor, so on_error may jump out of it. False: see writer.error.
bool write(Writer& writer, png_structp png, png_infop info, const PngImage& image, png_text* text) {
    if (setjmp(writer.jump) != 0) return false;
    png_set_write_fn(png, &writer, on_write, nullptr);
    png_set_IHDR(png, info, image.width, image.height, 8, image.alpha ? PNG_COLOR_TYPE_RGB_ALPHA : PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (text) png_set_text(png, info, text, 1);
    png_write_info(png, info);
    for (std::uint32_t y = 0; y < image.height; ++y)
        png_write_row(png, image.rgb.data() + std::size_t(y) * image.width * (image.alpha ? 4 : 3));
    png_write_end(png, info);
    return true;
}

}  // namespace

Expected<std::vector<std::uint8_t>> encode_png(const PngImage& image) {
    if (image.rgb.size() != std::size_t(image.width) * image.height * (image.alpha ? 4 : 3) || image.rgb.empty())
        return Failure{PUMICE_INTERNAL,
                       fmt::format("{} bytes are no picture of {}x{}", image.rgb.size(), image.width, image.height)};
    Writer writer;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &writer, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : nullptr;
    std::string keyword = "parameters";
    const std::optional<std::string> latin1 = to_latin1(image.parameters);
    std::string value = latin1.value_or(image.parameters);
    png_text text{};
    text.compression = latin1 ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    text.key = keyword.data();
    text.text = value.data();
    if (latin1)
        text.text_length = value.size();
    else
        text.itxt_length = value.size();
    const bool written = info && write(writer, png, info, image, value.empty() ? nullptr : &text);
    png_destroy_write_struct(&png, &info);
    if (!written) return Failure{PUMICE_INTERNAL, fmt::format("libpng cannot encode the picture: {}", writer.error)};
    return std::move(writer.bytes);
}

Expected<DecodedImage> decode_png(std::span<const std::uint8_t> bytes, const std::string& file) {
    constexpr std::uint32_t kMostSide = 65536;
    constexpr std::uint64_t kMostPixels = std::uint64_t(1) << 30;
    png_image png{};
    png.version = PNG_IMAGE_VERSION;
    const auto broken = [&](const std::string& why) {
        png_image_free(&png);
        return Failure{PUMICE_BAD_FORMAT, fmt::format("{} is no PNG that can be read: {}", file, why)};
    };
    if (!png_image_begin_read_from_memory(&png, bytes.data(), bytes.size())) return broken(png.message);
    if (png.width > kMostSide || png.height > kMostSide || std::uint64_t(png.width) * png.height > kMostPixels)
        return broken(fmt::format("{}x{} pixels are too many", png.width, png.height));
    const bool alpha = (png.format & PNG_FORMAT_FLAG_ALPHA) != 0;
    png.format = alpha ? PNG_FORMAT_RGBA : PNG_FORMAT_RGB;
    DecodedImage image{png.width, png.height, alpha ? 4u : 3u, {}};
    image.pixels.resize(PNG_IMAGE_SIZE(png));
    if (!png_image_finish_read(&png, nullptr, image.pixels.data(), 0, nullptr)) return broken(png.message);
    return image;
}

Expected<DecodedImage> read_png(const std::filesystem::path& file) {
    std::error_code error;
    if (!std::filesystem::exists(file, error))
        return Failure{PUMICE_NOT_FOUND, fmt::format("there is no file {}", file.string())};
    std::ifstream in(file, std::ios::binary);
    std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(in), {}};
    if (!in || std::filesystem::is_directory(file, error))
        return Failure{PUMICE_IO, fmt::format("cannot read {}", file.string())};
    return decode_png(bytes, file.string());
}

std::vector<std::uint8_t> on_white(const DecodedImage& image) {
    if (image.channels == 3) return image.pixels;
    std::vector<std::uint8_t> rgb;
    rgb.reserve(image.pixels.size() / 4 * 3);
    for (std::size_t i = 0; i < image.pixels.size(); i += 4) {
        const std::uint32_t alpha = image.pixels[i + 3];
        for (std::size_t c = 0; c < 3; ++c)
            rgb.push_back(static_cast<std::uint8_t>((image.pixels[i + c] * alpha + 255 * (255 - alpha) + 127) / 255));
    }
    return rgb;
}

std::vector<std::uint8_t> to_gray(std::span<const std::uint8_t> rgb) {
    std::vector<std::uint8_t> gray(rgb.size() / 3);
    for (std::size_t i = 0; i < gray.size(); ++i)
        gray[i] = static_cast<std::uint8_t>(
            (rgb[3 * i] * 19595u + rgb[3 * i + 1] * 38470u + rgb[3 * i + 2] * 7471u + 0x8000u) >> 16);
    return gray;
}

}  // namespace pumice::host
