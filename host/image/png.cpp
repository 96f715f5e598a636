#include "image/png.hpp"

#include <png.h>

#include <csetjmp>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>

#include <fmt/format.h>

#include "outcome.hpp"

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

std::string from_latin1(std::string_view latin1) {
    std::string utf8;
    for (const char c : latin1) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x80) {
            utf8 += c;
        } else {
            utf8 += static_cast<char>(0xC0u | byte >> 6);
            utf8 += static_cast<char>(0x80u | (byte & 0x3Fu));
        }
    }
    return utf8;
}

/// A text as libpng takes it: it points into this object.
struct TextChunk {
    std::string keyword, value;
    bool latin1;
    TextChunk(const char* key, const std::string& text) : keyword(key) {
        const std::optional<std::string> narrow = to_latin1(text);
        latin1 = narrow.has_value();
        value = narrow.value_or(text);
    }
    png_text chunk() {
        png_text text{};
        text.compression = latin1 ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
        text.key = keyword.data();
        text.text = value.data();
        (latin1 ? text.text_length : text.itxt_length) = value.size();
        return text;
    }
};

/// What libpng's callbacks reach.
struct Reader {
    std::span<const std::uint8_t> rest;
    std::string error;
    std::jmp_buf jump;
};

void on_read(png_structp png, png_bytep data, png_size_t size) {
    auto* reader = static_cast<Reader*>(png_get_io_ptr(png));
    if (reader->rest.size() < size) png_error(png, "the file ends too early");
    std::memcpy(data, reader->rest.data(), size);
    reader->rest = reader->rest.subspan(size);
}

void on_read_error(png_structp png, png_const_charp message) {
    auto* reader = static_cast<Reader*>(png_get_error_ptr(png));
    try {
        reader->error = message;
    } catch (...) {  // then without a reason
    }
    std::longjmp(reader->jump, 1);
}

void on_read_warning(png_structp, png_const_charp) {}

/// Everything before the pixels. No object here has a destructor. False: see reader.error.
bool read_start(Reader& reader, png_structp png, png_infop info) {
    if (setjmp(reader.jump) != 0) return false;
    png_set_read_fn(png, &reader, on_read);
    png_set_user_limits(png, 65536, 65536);
    png_set_chunk_cache_max(png, 200);
    png_set_chunk_malloc_max(png, 16u << 20);
    // A text whose sum is wrong is damaged; libpng would pass over it.
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_benign_errors(png, 0);
    png_read_info(png, info);
    return true;
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
bool write(Writer& writer, png_structp png, png_infop info, const PngImage& image, png_text* texts, int count) {
    if (setjmp(writer.jump) != 0) return false;
    png_set_write_fn(png, &writer, on_write, nullptr);
    png_set_IHDR(png, info, image.width, image.height, 8, image.alpha ? PNG_COLOR_TYPE_RGB_ALPHA : PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (count > 0) png_set_text(png, info, texts, count);
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
    TextChunk parameters("parameters", image.parameters), recipe("pumice", image.recipe);
    png_text texts[2];
    int count = 0;
    for (TextChunk* chunk : {&parameters, &recipe})
        if (!chunk->value.empty()) texts[count++] = chunk->chunk();
    const bool written = info && write(writer, png, info, image, texts, count);
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

Expected<PngTexts> decode_png_texts(std::span<const std::uint8_t> bytes, const std::string& file) {
    Reader reader{bytes, "", {}};
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, on_read_error, on_read_warning);
    png_infop info = png ? png_create_info_struct(png) : nullptr;
    const bool read = info && read_start(reader, png, info);
    PngTexts found;
    if (read) {
        found.width = png_get_image_width(png, info);
        found.height = png_get_image_height(png, info);
        png_textp texts = nullptr;
        int count = 0;
        png_get_text(png, info, &texts, &count);
        for (int i = 0; i < count; ++i) {
            const bool utf8 = texts[i].compression >= PNG_ITXT_COMPRESSION_NONE;
            const std::string_view text(texts[i].text, utf8 ? texts[i].itxt_length : texts[i].text_length);
            found.texts.push_back({from_latin1(texts[i].key), utf8 ? std::string(text) : from_latin1(text)});
        }
    }
    png_destroy_read_struct(&png, &info, nullptr);
    if (!read) return Failure{PUMICE_BAD_FORMAT, fmt::format("{} is no PNG that can be read: {}", file, reader.error)};
    return found;
}

namespace {

Expected<std::vector<std::uint8_t>> bytes_of(const std::filesystem::path& file) {
    std::error_code error;
    if (!std::filesystem::exists(file, error))
        return Failure{PUMICE_NOT_FOUND, fmt::format("there is no file {}", file.string())};
    std::ifstream in(file, std::ios::binary);
    std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(in), {}};
    if (!in || std::filesystem::is_directory(file, error))
        return Failure{PUMICE_IO, fmt::format("cannot read {}", file.string())};
    return bytes;
}

}  // namespace

Expected<DecodedImage> read_png(const std::filesystem::path& file) {
    HOST_ASSIGN(const auto bytes, bytes_of(file));
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

Expected<PngTexts> read_png_texts(const std::filesystem::path& file) {
    HOST_ASSIGN(const auto bytes, bytes_of(file));
    return decode_png_texts(bytes, file.string());
}

}  // namespace pumice::host
