#include "models/random_checkpoint.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/random_weights.hpp"

namespace pumice {
namespace {

constexpr std::size_t kPiece = std::size_t(4) << 20;

const char* dtype_name(DType dtype) {
    return dtype == DType::f32 ? "F32" : dtype == DType::bf16 ? "BF16" : "F16";
}

std::uint64_t elements(const TensorSpec& t) {
    std::uint64_t n = 1;
    for (const std::uint64_t s : t.shape) n *= s;
    return n;
}

/// A file that appears under its name when it is complete, and not at all otherwise.
class PartialFile {
public:
    static Result<PartialFile> create(const std::filesystem::path& target) {
        PartialFile file;
        file.target_ = target;
        file.part_ = target.string() + fmt::format(".part{}", ::getpid());
        file.fd_ = ::open(file.part_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file.fd_ < 0) return file.failed();
        return file;
    }
    ~PartialFile() {
        if (fd_ >= 0) ::close(fd_);
        if (!target_.empty()) ::unlink(part_.c_str());
    }
    PartialFile(PartialFile&& other) noexcept
        : target_(std::exchange(other.target_, {})), part_(std::move(other.part_)), fd_(std::exchange(other.fd_, -1)) {}
    PartialFile& operator=(PartialFile&&) = delete;

    const std::filesystem::path& path() const { return part_; }
    Status write(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const ::ssize_t n = ::write(fd_, bytes.data(), bytes.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return failed();
            bytes = bytes.subspan(static_cast<std::size_t>(n));
        }
        return {};
    }
    /// No more writing: the contents are on the disk.
    Status close() {
        if (::fsync(fd_) != 0) return failed();
        return ::close(std::exchange(fd_, -1)) == 0 ? Status{} : failed();
    }
    Status appear() {
        if (::rename(part_.c_str(), target_.c_str()) != 0) return failed();
        target_.clear();
        return {};
    }

private:
    PartialFile() = default;
    Error failed() const { return {Code::io, target_.string() + ": " + std::strerror(errno)}; }
    std::filesystem::path target_, part_;
    int fd_ = -1;
};

std::string header(const CheckpointRequest& request, const std::vector<TensorSpec>& specs) {
    nlohmann::ordered_json json;
    json["__metadata__"]["format"] = "pt";
    if (!request.config_json.empty()) json["__metadata__"]["pumice.config"] = request.config_json;
    std::uint64_t end = 0;
    for (const TensorSpec& t : specs) {
        const std::uint64_t begin = end;
        end += elements(t) * size_of(request.dtype);
        json[t.name] = {{"dtype", dtype_name(request.dtype)}, {"shape", t.shape}, {"data_offsets", {begin, end}}};
    }
    std::string text = json.dump();
    text.append((8 - text.size() % 8) % 8, ' ');  // the format's way to align the data
    std::string length;
    for (int i = 0; i < 8; ++i) length += static_cast<char>(std::uint64_t(text.size()) >> (8 * i) & 255);
    return length + text;
}

Status write_tensor(PartialFile& file, const CheckpointRequest& request, const TensorSpec& t,
                    std::vector<std::byte>& piece) {
    RandomElements random(request.seed, t, request.dtype);
    std::uint64_t left = elements(t) * size_of(request.dtype);
    while (left > 0) {
        const std::span<std::byte> now(piece.data(), std::min<std::uint64_t>(left, piece.size()));
        random.next(now);
        PUMICE_TRY(file.write(now));
        left -= now.size();
    }
    return {};
}

/// What was written is what was asked for.
Status check(const std::filesystem::path& path, const ModelConfig& config) {
    PUMICE_ASSIGN(const WeightFile file, WeightFile::open(path));
    PUMICE_ASSIGN(const ModelConfig found, model_config(file));
    if (found == config) return {};
    return Error{Code::internal, path.string() + ": the file does not have the geometry it was made from"};
}

Result<CheckpointSummary> write_tensors(const CheckpointRequest& request, std::vector<TensorSpec> specs, bool model) {
    std::error_code ignored;
    if (!request.overwrite && std::filesystem::exists(std::filesystem::symlink_status(request.file, ignored)))
        return Error{Code::io, request.file.string() + ": exists (--force overwrites it)"};
    std::sort(specs.begin(), specs.end(), [](const TensorSpec& a, const TensorSpec& b) { return a.name < b.name; });

    PUMICE_ASSIGN(PartialFile file, PartialFile::create(request.file));
    const std::string head = header(request, specs);
    PUMICE_TRY(file.write(std::as_bytes(std::span(head.data(), head.size()))));
    CheckpointSummary summary{specs.size(), 0, head.size()};
    std::vector<std::byte> piece(kPiece);
    for (const TensorSpec& t : specs) {
        PUMICE_TRY(write_tensor(file, request, t, piece));
        summary.parameters += elements(t);
    }
    summary.bytes += summary.parameters * size_of(request.dtype);
    PUMICE_TRY(file.close());
    if (model) PUMICE_TRY(check(file.path(), request.config));
    PUMICE_TRY(file.appear());
    return summary;
}

/// How many channels leave an input or middle block: the rows of its last convolution.
std::uint64_t channels_behind(const std::vector<TensorSpec>& specs, const std::string& block) {
    for (const char* last : {".0.out_layers.3.weight", ".0.op.weight", ".0.weight"})
        for (const TensorSpec& t : specs)
            if (t.name == block + last) return t.shape[0];
    return 0;
}

}  // namespace

std::vector<TensorSpec> control_tensors(const UnetConfig& config) {
    const std::string unet = "model.diffusion_model.", control = "control_model.";
    const std::vector<TensorSpec> all = expected_tensors(config);
    std::vector<TensorSpec> specs;
    for (TensorSpec t : all)
        for (const char* part : {"time_embed.", "label_emb.", "input_blocks.", "middle_block."})
            if (t.name.starts_with(unet + part)) {
                t.name.replace(0, unet.size(), control);
                specs.push_back(std::move(t));
                break;
            }
    const auto add = [&](const std::string& name, std::uint64_t out, std::uint64_t in, std::uint64_t side) {
        specs.push_back({control + name + ".weight", {out, in, side, side}, WeightUse::conv});
        specs.push_back({control + name + ".bias", {out}, WeightUse::vector});
    };
    for (int i = 0;; ++i) {
        const std::uint64_t channels = channels_behind(all, unet + "input_blocks." + std::to_string(i));
        if (channels == 0) break;
        add("zero_convs." + std::to_string(i) + ".0", channels, channels, 1);
    }
    const std::uint64_t middle = channels_behind(all, unet + "middle_block");
    add("middle_block_out.0", middle, middle, 1);
    const std::uint64_t hint[] = {3, 16, 16, 32, 32, 96, 96, 256, channels_behind(all, unet + "input_blocks.0")};
    for (int i = 0; i < 8; ++i) add("input_hint_block." + std::to_string(2 * i), hint[i + 1], hint[i], 3);
    return specs;
}

Result<CheckpointSummary> write_checkpoint(const CheckpointRequest& request) {
    PUMICE_TRY(check_config(request.config));
    return write_tensors(request, expected_tensors(request.config), true);
}

Result<CheckpointSummary> write_control_checkpoint(const CheckpointRequest& request) {
    return write_tensors(request, control_tensors(request.config.unet), false);
}

}  // namespace pumice
