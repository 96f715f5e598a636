#include "verify/model_files.hpp"

#include <cstring>
#include <fstream>

#include <fmt/format.h>

#include "diffusion/rng.hpp"

namespace pumice::verify {
namespace {

/// A safetensors file being put together (https://github.com/huggingface/safetensors#format).
class WeightsFile {
public:
    void add(const std::string& name, std::vector<std::uint64_t> shape) {
        std::size_t count = 1, taps = 1;
        for (std::size_t i = 0; i < shape.size(); ++i) {
            count *= shape[i];
            if (i > 0) taps *= shape[i];
        }
        const std::size_t begin = numbers_.size();
        numbers_.resize(begin + count);
        const std::span<float> own(numbers_.data() + begin, count);
        source_.normal(own);
        // Sums of what a layer sees stay about as large as that; biases and slopes are small.
        const double scale = shape.size() > 1 ? 1 / std::sqrt(static_cast<double>(taps)) : 0.1;
        for (float& v : own) v = static_cast<float>(scale * double(v));
        header_[name] = {{"dtype", "F32"},
                         {"shape", shape},
                         {"data_offsets", {begin * sizeof(float), numbers_.size() * sizeof(float)}}};
    }
    /// A layer: its weight, and a bias of as many numbers as it gives.
    void layer(const std::string& name, const std::vector<std::uint64_t>& shape) {
        add(name + ".weight", shape);
        add(name + ".bias", {shape[0]});
    }
    void conv(const std::string& name, std::uint64_t out, std::uint64_t in, std::uint64_t side = 3) {
        layer(name, {out, in, side, side});
    }
    Status write(const std::filesystem::path& path) const {
        const std::string header = header_.dump();
        const std::uint64_t size = header.size();
        char length[8];
        std::memcpy(length, &size, sizeof(length));
        std::ofstream file(path, std::ios::binary);
        file.write(length, sizeof(length));
        file.write(header.data(), static_cast<std::streamsize>(header.size()));
        file.write(reinterpret_cast<const char*>(numbers_.data()),
                   static_cast<std::streamsize>(numbers_.size() * sizeof(float)));
        file.close();
        return file ? Status{} : Error{Code::io, fmt::format("cannot write {}", path.string())};
    }

private:
    NoiseSource source_{RngKind::philox, 11};
    nlohmann::ordered_json header_;
    std::vector<float> numbers_;
};

/// ESRGAN's network (Wang et al. 2018) of one block, by a factor of four.
WeightsFile rrdb() {
    constexpr std::uint64_t kFeatures = 8, kGrowth = 4;
    WeightsFile file;
    file.conv("conv_first", kFeatures, 3);
    for (int dense = 1; dense <= 3; ++dense)
        for (std::uint64_t i = 1; i <= 5; ++i)
            file.conv(fmt::format("body.0.rdb{}.conv{}", dense, i), i < 5 ? kGrowth : kFeatures,
                      kFeatures + (i - 1) * kGrowth);
    for (const char* name : {"conv_body", "conv_up1", "conv_up2", "conv_hr"}) file.conv(name, kFeatures, kFeatures);
    file.conv("conv_last", 3, kFeatures);
    return file;
}

/// Real-ESRGAN's small network (Wang et al. 2021), by a factor of two.
WeightsFile compact() {
    constexpr std::uint64_t kFeatures = 8;
    WeightsFile file;
    file.conv("body.0", kFeatures, 3);
    file.add("body.1.weight", {kFeatures});
    file.conv("body.2", kFeatures, kFeatures);
    file.add("body.3.weight", {kFeatures});
    file.conv("body.4", 12, kFeatures);
    return file;
}

void res_block(WeightsFile& file, const std::string& name, std::uint64_t out, std::uint64_t in, std::uint64_t time) {
    file.layer(name + ".in_layers.0", {in});
    file.conv(name + ".in_layers.2", out, in);
    file.layer(name + ".emb_layers.1", {out, time});
    file.layer(name + ".out_layers.0", {out});
    file.conv(name + ".out_layers.3", out, out);
    if (in != out) file.conv(name + ".skip_connection", out, in, 1);
}

const UnetShape kTwoLevels = {
    .family = "sd1", .model_channels = 32, .context_channels = 16, .factors = {1, 2}, .res_blocks = 1};
const UnetShape kFourLevels = {.family = "sd1", .model_channels = 32, .context_channels = 16};

/// A ControlNet (Zhang et al. 2023) of two levels without transformers, in its first layout.
WeightsFile control_net() {
    constexpr std::uint64_t kWidth = 32, kTime = 128;
    const std::string all = "control_model.";
    WeightsFile file;
    file.layer(all + "time_embed.0", {kTime, kWidth});
    file.layer(all + "time_embed.2", {kTime, kTime});
    for (int i = 0; i < 8; ++i)
        file.conv(fmt::format("{}input_hint_block.{}", all, 2 * i), i < 7 ? 16 : kWidth, i == 0 ? 3 : 16);
    file.conv(all + "input_blocks.0.0", kWidth, 4);
    res_block(file, all + "input_blocks.1.0", kWidth, kWidth, kTime);
    file.conv(all + "input_blocks.2.0.op", kWidth, kWidth);
    res_block(file, all + "input_blocks.3.0", 2 * kWidth, kWidth, kTime);
    res_block(file, all + "middle_block.0", 2 * kWidth, 2 * kWidth, kTime);
    for (int i = 0; i < 4; ++i) {
        const std::uint64_t width = i < 3 ? kWidth : 2 * kWidth;
        file.conv(fmt::format("{}zero_convs.{}.0", all, i), width, width, 1);
    }
    file.conv(all + "middle_block_out.0", 2 * kWidth, 2 * kWidth, 1);
    return file;
}

/// A T2I-Adapter (Mou et al. 2023) of one block a level.
WeightsFile t2i_adapter() {
    constexpr std::uint64_t kWidths[] = {32, 64, 128, 128};
    WeightsFile file;
    file.conv("conv_in", kWidths[0], 3 * 64);
    for (std::size_t i = 0; i < 4; ++i) {
        const std::string name = fmt::format("body.{}", i);
        const std::uint64_t in = kWidths[i > 0 ? i - 1 : 0];
        if (in != kWidths[i]) file.conv(name + ".in_conv", kWidths[i], in, 1);
        file.conv(name + ".block1", kWidths[i], kWidths[i]);
        file.conv(name + ".block2", kWidths[i], kWidths[i], 1);
    }
    return file;
}

WeightsFile other() {
    WeightsFile file;
    file.layer("nothing.that.anybody.reads", {4, 4});
    return file;
}

/// The file of this name, written unless it is there.
Result<std::string> made(const std::filesystem::path& folder, const char* name, WeightsFile (*make)()) {
    const std::filesystem::path path = folder / name;
    std::error_code none;
    if (!std::filesystem::exists(path, none)) PUMICE_TRY(make().write(path));
    return path.string();
}

}  // namespace

Result<std::vector<MadeFile>> make_upscalers(const std::filesystem::path& folder) {
    PUMICE_ASSIGN(std::string first, made(folder, "rrdb.safetensors", rrdb));
    PUMICE_ASSIGN(std::string second, made(folder, "compact.safetensors", compact));
    return std::vector<MadeFile>{{std::move(first), {}}, {std::move(second), {}}};
}

Result<std::vector<MadeFile>> make_controls(const std::filesystem::path& folder) {
    PUMICE_ASSIGN(std::string first, made(folder, "controlnet.safetensors", control_net));
    PUMICE_ASSIGN(std::string second, made(folder, "t2i_adapter.safetensors", t2i_adapter));
    return std::vector<MadeFile>{{std::move(first), kTwoLevels}, {std::move(second), kFourLevels}};
}

Result<std::string> make_other(const std::filesystem::path& folder) {
    return made(folder, "other.safetensors", other);
}

Result<std::string> make_text(const std::filesystem::path& folder) {
    const std::filesystem::path path = folder / "text.safetensors";
    std::ofstream file(path);
    file << "This is a text, and no file of weights.\n";
    file.close();
    if (!file) return Error{Code::io, fmt::format("cannot write {}", path.string())};
    return path.string();
}

}  // namespace pumice::verify
