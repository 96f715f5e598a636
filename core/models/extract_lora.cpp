#include <algorithm>
#include <bit>
#include <cmath>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <Eigen/QR>
#include <Eigen/SVD>

#include "models/bake_lora.hpp"
#include "models/configs.hpp"

namespace pumice {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr Eigen::Index kSmall = 192;  ///< a side up to which the whole decomposition is as quick
constexpr Eigen::Index kOversampling = 16;
constexpr int kPowerIterations = 2;

/// difference ≈ up * down, with up = U sqrt(S) and down = sqrt(S) Vᵀ: both of like size, which fp16 likes.
struct Factors {
    Matrix up, down;
};

Factors largest(const Matrix& u, const Eigen::VectorXd& s, const Matrix& v, Eigen::Index rank) {
    const Eigen::VectorXd root = s.head(rank).cwiseMax(0.0).cwiseSqrt();
    return {u.leftCols(rank) * root.asDiagonal(), root.asDiagonal() * v.leftCols(rank).transpose()};
}

/// Signs from a fixed sequence: as good as normal numbers to find the range with, and the same each time.
Matrix random_signs(Eigen::Index rows, Eigen::Index columns) {
    Matrix signs(rows, columns);
    std::uint64_t state = 0x9e3779b97f4a7c15u;
    for (Eigen::Index i = 0; i < signs.size(); ++i) {
        state += 0x9e3779b97f4a7c15u;  // splitmix64 (Steele, Lea and Flood 2014)
        std::uint64_t z = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        signs.data()[i] = (std::popcount(z) & 1) ? 1 : -1;
    }
    return signs;
}

Matrix orthonormal(const Matrix& columns) {
    const Eigen::HouseholderQR<Eigen::MatrixXd> qr(columns);
    return qr.householderQ() * Eigen::MatrixXd::Identity(columns.rows(), columns.cols());
}

Factors decompose(const Matrix& d, Eigen::Index rank) {
    constexpr unsigned kThin = Eigen::ComputeThinU | Eigen::ComputeThinV;
    const Eigen::Index least = std::min(d.rows(), d.cols());
    if (least <= std::max(kSmall, 2 * (rank + kOversampling))) {
        const Eigen::BDCSVD<Eigen::MatrixXd> svd(d, kThin);
        return largest(svd.matrixU(), svd.singularValues(), svd.matrixV(), rank);
    }
    Matrix range = orthonormal(d * random_signs(d.cols(), rank + kOversampling));
    for (int i = 0; i < kPowerIterations; ++i) {
        const Matrix other = orthonormal(d.transpose() * range);
        range = orthonormal(d * other);
    }
    const Matrix inside = range.transpose() * d;
    const Eigen::BDCSVD<Eigen::MatrixXd> svd(inside, kThin);
    return largest(range * svd.matrixU(), svd.singularValues(), svd.matrixV(), rank);
}

/// One module: rows of a tensor in the two models.
struct Module {
    std::string name;  ///< "lora_unet_down_blocks_0_attentions_0_proj_in"
    AdapterTarget tuned;
    const StoredTensor* base = nullptr;
    std::uint32_t rank = 0;
};

std::vector<float> rows_of(const WeightFile& file, const StoredTensor& t, const AdapterTarget& target) {
    std::vector<float> values(target.rows * target.columns());
    read_f32(t, target.row0 * target.columns(), values);
    file.done_with(t.data);
    return values;
}

/// The factors of a module, found when the first of its tensors is asked for and given up after the last element of
/// lora_up, which is written after lora_down.
class Decomposition {
public:
    Decomposition(const WeightFile& tuned, const WeightFile& base, Module module, std::shared_ptr<ExtractedShare> share)
        : tuned_(tuned), base_(base), module_(std::move(module)), share_(std::move(share)) {}

    Status read(bool up, std::uint64_t first, std::span<float> to) {
        if (factors_.up.size() == 0) make();
        const Matrix& from = up ? factors_.up : factors_.down;
        for (std::size_t i = 0; i < to.size(); ++i)
            to[i] = static_cast<float>(from.data()[static_cast<std::size_t>(first) + i]);
        if (up && first + to.size() == static_cast<std::uint64_t>(from.size())) factors_ = {};
        return {};
    }

private:
    void make() {
        const std::vector<float> a = rows_of(tuned_, *module_.tuned.weight, module_.tuned);
        const std::vector<float> b = rows_of(base_, *module_.base, module_.tuned);
        Matrix d(static_cast<Eigen::Index>(module_.tuned.rows), static_cast<Eigen::Index>(module_.tuned.columns()));
        for (std::size_t i = 0; i < a.size(); ++i) d.data()[i] = double(a[i]) - double(b[i]);
        factors_ = decompose(d, module_.rank);
        if (std::exchange(counted_, true)) return;
        share_->squares += d.squaredNorm();
        share_->captured += d.squaredNorm() - (d - factors_.up * factors_.down).squaredNorm();
    }

    WeightFile tuned_, base_;
    Module module_;
    std::shared_ptr<ExtractedShare> share_;
    Factors factors_{};
    bool counted_ = false;
};

bool same_values(const WeightFile& tuned, const AdapterTarget& target, const WeightFile& base, const StoredTensor& b) {
    if (target.weight->dtype == b.dtype && !is_quantized(b.dtype)) {
        const std::size_t row = static_cast<std::size_t>(target.columns()) * size_of(b.dtype);
        const auto part = [&](const StoredTensor& t) { return t.data.subspan(target.row0 * row, target.rows * row); };
        const auto x = part(*target.weight), y = part(b);
        return std::equal(x.begin(), x.end(), y.begin(), y.end());
    }
    return rows_of(tuned, *target.weight, target) == rows_of(base, b, target);
}

/// The original's names of the UNet's modules, with '_' for '.': kohya's of SD XL. Those of diffusers are kohya's of SD
/// 1 and 2.
bool is_original_name(std::string_view name) {
    for (const std::string_view start : {"unet/input_blocks_", "unet/middle_block_", "unet/output_blocks_",
                                         "unet/time_embed_0", "unet/time_embed_2", "unet/label_emb_", "unet/out_"})
        if (name.starts_with(start)) return true;
    return false;
}

bool is_xl(const WeightFile& file) {
    const Family family = recognize(file);
    return family == Family::sdxl || family == Family::sdxl_refiner;
}

/// As kohya-ss/sd-scripts (networks/lora.py) names a module; empty for a second name of one that has another.
std::string kohya_name(const std::string& module, bool xl) {
    const auto slash = module.find('/');
    const std::string network = module.substr(0, slash), inside = module.substr(slash + 1);
    if (network == "unet") return is_original_name(module) == xl ? "lora_unet_" + inside : std::string();
    return fmt::format("lora_{}_text_model_{}", xl ? network : "te", inside);
}

bool is_embedding(std::string_view name) {
    return name.find("embeddings_") != std::string_view::npos;
}

OutputTensor scalar(std::string name, float value) {
    return made(std::move(name), StoredType::f32, {}, [value](std::uint64_t, std::span<float> to) -> Status {
        std::fill(to.begin(), to.end(), value);
        return {};
    });
}

void add_module(OutputModel& model, const WeightFile& tuned, const WeightFile& base, const Module& module,
                const std::shared_ptr<ExtractedShare>& share) {
    auto found = std::make_shared<Decomposition>(tuned, base, module, share);
    const std::vector<std::uint64_t>& shape = module.tuned.weight->shape;
    std::vector<std::uint64_t> down = shape, up = {module.tuned.rows, module.rank};
    down[0] = module.rank;
    if (shape.size() == 4) up.insert(up.end(), {1, 1});
    const auto part = [&](const char* end, std::vector<std::uint64_t> of, bool is_up) {
        model.tensors.push_back(
            made(module.name + end, StoredType::f32, std::move(of),
                 [found, is_up](std::uint64_t first, std::span<float> to) { return found->read(is_up, first, to); }));
    };
    part(".lora_down.weight", down, false);
    part(".lora_up.weight", up, true);
    model.tensors.push_back(scalar(module.name + ".alpha", static_cast<float>(module.rank)));
}

/// The modules that differ, in the order of their names.
Result<std::vector<Module>> find_modules(const WeightFile& tuned, const WeightFile& base, const AdapterTargets& targets,
                                         const ExtractOptions& options, std::set<std::string>& seen) {
    std::vector<Module> modules;
    const bool xl = is_xl(tuned);
    for (const auto& [name, target] : targets.modules()) {
        const std::string kohya = kohya_name(name, xl);
        const std::uint64_t least = std::min<std::uint64_t>(target.rows, target.columns());
        const bool matrix = target.weight->shape.size() == 2 || target.weight->shape.size() == 4;
        if (kohya.empty() || !matrix || least < 2 || is_embedding(name)) continue;
        const std::string place = fmt::format("{} {}", target.weight->name, target.row0);
        if (!seen.insert(place).second) continue;  // the refiner's encoder has two names
        const StoredTensor* const b = base.find(target.weight->name);
        if (!b) continue;
        if (b->elements() != target.weight->elements() || b->shape[0] != target.weight->shape[0])
            return Error{Code::bad_format,
                         fmt::format("{}: tensor '{}' has shape {}, but {} in {}: not the model that the other was "
                                     "trained from",
                                     base.path(), printable(b->name), shape_string(b->shape),
                                     shape_string(target.weight->shape), tuned.path())};
        if (same_values(tuned, target, base, *b)) continue;
        const std::uint32_t wanted = target.taps() > 1 && options.conv_rank > 0 ? options.conv_rank : options.rank;
        modules.push_back({kohya, target, b, static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, least))});
    }
    return modules;
}

/// Tensors of the networks that differ and are in no module.
std::size_t count_others(const WeightFile& tuned, const WeightFile& base, const std::set<std::string>& seen) {
    std::size_t others = 0;
    for (const char* prefix : {"model.diffusion_model.", "cond_stage_model.", "conditioner."})
        for (const StoredTensor& t : tuned.with_prefix(prefix)) {
            const StoredTensor* const b = base.find(t.name);
            if (!is_float(t.dtype) || !b || seen.count(t.name + " 0") > 0 || b->dtype != t.dtype) continue;
            others += std::equal(t.data.begin(), t.data.end(), b->data.begin(), b->data.end()) ? 0 : 1;
        }
    return others;
}

}  // namespace

Result<ExtractedLora> extract_lora(const WeightFile& tuned, const WeightFile& base, const ExtractOptions& options) {
    if (options.rank == 0) return Error{Code::invalid_argument, "rank is 0"};
    const AdapterTargets targets(tuned);
    std::set<std::string> seen;
    PUMICE_ASSIGN(const std::vector<Module> modules, find_modules(tuned, base, targets, options, seen));
    if (modules.empty())
        return Error{Code::unsupported,
                     fmt::format("{} and {} have no layer in common that differs: nothing to extract", tuned.path(),
                                 base.path())};
    ExtractedLora lora{{}, std::make_shared<ExtractedShare>()};
    lora.share->modules = modules.size();
    lora.share->other = count_others(tuned, base, seen);
    for (const Module& module : modules) add_module(lora.model, tuned, base, module, lora.share);
    lora.model.metadata = {{"ss_network_module", "networks.lora"},
                           {"ss_network_dim", fmt::to_string(options.rank)},
                           {"ss_network_alpha", fmt::to_string(options.rank)}};
    return lora;
}

}  // namespace pumice
