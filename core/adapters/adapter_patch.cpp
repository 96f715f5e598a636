#include "adapters/adapter_patch.hpp"

#include <cmath>

#include <fmt/format.h>

namespace pumice {
namespace {

using Kind = ops::MergeChange::Kind;
using Magnitudes = ops::MergeChange::Magnitudes;

constexpr std::uint64_t kMostFactors = std::uint64_t(1) << 30;  ///< elements: an index of theirs has 32 bits

std::uint64_t rows_of(const StoredTensor& t) {
    return t.shape.empty() ? 1 : t.shape[0];
}
std::uint64_t columns_of(const StoredTensor& t) {
    return rows_of(t) == 0 ? 0 : t.elements() / rows_of(t);
}

std::vector<float> values_of(const StoredTensor& t) {
    std::vector<float> values(t.elements());
    read_f32(t, 0, values);
    return values;
}

Error misshapen(const StoredTensor& t, const std::string& wanted) {
    return {Code::bad_format, fmt::format("tensor '{}' has shape {}, but {} is needed", printable(t.name),
                                          shape_string(t.shape), wanted)};
}

/// Appends a module's factors to a patch, and checks their shapes on the way.
class Builder {
public:
    Builder(const AdapterModule& module, bool values) : m_(module), values_(values) {
        patch_.change.row0 = module.target.row0;
        patch_.change.rows = module.target.rows;
        patch_.change.taps = static_cast<std::uint32_t>(module.target.taps());
    }

    Status low_rank();
    Status hadamard();
    Status kronecker();
    Status difference(AdapterPart part, std::uint64_t columns);
    Status ia3();
    Status magnitudes();
    Result<AdapterPatch> done() && {
        if (places_ > kMostFactors)
            return Error{Code::unsupported, fmt::format("the tensors of '{}' are too large", printable(m_.name))};
        return std::move(patch_);
    }

private:
    struct Matrix {
        std::uint64_t rows = 0, columns = 0;
        std::vector<float> values;
    };

    std::uint64_t columns() const { return m_.target.columns(); }
    std::uint64_t channels() const { return m_.target.channels(); }
    std::uint64_t taps() const { return m_.target.taps(); }
    const StoredTensor* part(AdapterPart p) const {
        const auto it = m_.parts.find(p);
        return it == m_.parts.end() ? nullptr : it->second;
    }
    Result<const StoredTensor*> need(AdapterPart p, const char* what) const {
        if (const StoredTensor* t = part(p)) return t;
        return Error{Code::bad_format,
                     fmt::format("tensor '{}' has no {} beside it", printable(m_.parts.begin()->second->name), what)};
    }
    Matrix matrix(const StoredTensor& t) const {
        return {rows_of(t), columns_of(t), values_ ? values_of(t) : std::vector<float>()};
    }
    Result<Matrix> tucker(const StoredTensor& core, const StoredTensor& b) const;
    Matrix transposed(const StoredTensor& t) const;
    Matrix product(const Matrix& a, const Matrix& b) const;
    Result<Matrix> factored(const StoredTensor& a, const StoredTensor& b) const;
    Status scale(std::uint64_t rank);
    /// Where the values begin.
    std::uint32_t append(std::uint64_t count, const std::vector<float>& values) {
        const auto begin = static_cast<std::uint32_t>(places_);
        places_ += count;
        if (values_) patch_.factors.insert(patch_.factors.end(), values.begin(), values.end());
        return begin;
    }
    std::uint32_t append(const Matrix& m) { return append(m.rows * m.columns, m.values); }
    /// Rows of `channels` input channels get zeros for those that the model has more: an inpainting model's mask.
    bool pad(Matrix&) const;

    const AdapterModule& m_;
    bool values_;
    std::uint64_t places_ = 0;
    AdapterPatch patch_;
};

bool Builder::pad(Matrix& m) const {
    if (m.columns == columns()) return true;
    const bool first = m_.target.weight->name.ends_with("input_blocks.0.0.weight");
    if (!first || m.columns != 4 * taps() || columns() < m.columns) return false;
    if (values_) {
        std::vector<float> wide(m.rows * columns(), 0.0f);
        for (std::uint64_t row = 0; row < m.rows; ++row)
            std::copy_n(m.values.begin() + static_cast<std::ptrdiff_t>(row * m.columns), m.columns,
                        wide.begin() + static_cast<std::ptrdiff_t>(row * columns()));
        m.values = std::move(wide);
    }
    m.columns = columns();
    return true;
}

/// core [i, j, taps] and b [j, k] → [i, k * taps].
Result<Builder::Matrix> Builder::tucker(const StoredTensor& core, const StoredTensor& b) const {
    const std::uint64_t out = rows_of(core), in = core.shape.size() > 1 ? core.shape[1] : 0, k = columns_of(b);
    if (core.shape.size() != 4 || core.shape[2] * core.shape[3] != taps())
        return misshapen(core, fmt::format("[r, r, …] with {} taps", taps()));
    if (rows_of(b) != in) return misshapen(b, fmt::format("{} rows", in));
    Matrix result{out, k * taps(), {}};
    if (!values_) return result;
    const std::vector<float> c = values_of(core), v = values_of(b);
    result.values.assign(out * k * taps(), 0.0f);
    for (std::uint64_t i = 0; i < out; ++i)
        for (std::uint64_t j = 0; j < in; ++j)
            for (std::uint64_t q = 0; q < k; ++q)
                for (std::uint64_t t = 0; t < taps(); ++t)
                    result.values[(i * k + q) * taps() + t] += c[(i * in + j) * taps() + t] * v[j * k + q];
    return result;
}

Builder::Matrix Builder::transposed(const StoredTensor& t) const {
    Matrix result{columns_of(t), rows_of(t), {}};
    if (!values_) return result;
    const std::vector<float> values = values_of(t);
    result.values.resize(values.size());
    for (std::uint64_t r = 0; r < result.rows; ++r)
        for (std::uint64_t c = 0; c < result.columns; ++c)
            result.values[r * result.columns + c] = values[c * result.rows + r];
    return result;
}

Builder::Matrix Builder::product(const Matrix& a, const Matrix& b) const {
    Matrix result{a.rows, b.columns, {}};
    if (!values_) return result;
    result.values.assign(a.rows * b.columns, 0.0f);
    for (std::uint64_t r = 0; r < a.rows; ++r)
        for (std::uint64_t i = 0; i < a.columns; ++i)
            for (std::uint64_t c = 0; c < b.columns; ++c)
                result.values[r * b.columns + c] += a.values[r * a.columns + i] * b.values[i * b.columns + c];
    return result;
}

Result<Builder::Matrix> Builder::factored(const StoredTensor& a, const StoredTensor& b) const {
    if (columns_of(a) != rows_of(b)) return misshapen(b, fmt::format("{} rows", columns_of(a)));
    return product(matrix(a), matrix(b));
}

Status Builder::scale(std::uint64_t rank) {
    const StoredTensor* const alpha = part(AdapterPart::alpha);
    if (!alpha) return {};
    if (alpha->elements() != 1) return misshapen(*alpha, "one number");
    float value = 0;
    read_f32(*alpha, 0, {&value, 1});
    if (!std::isfinite(value) || rank == 0)
        return Error{Code::bad_format, fmt::format("tensor '{}' is no number", printable(alpha->name))};
    patch_.change.factor = static_cast<float>(double(value) / double(rank));
    return {};
}

Status Builder::low_rank() {
    PUMICE_ASSIGN(const StoredTensor* const up, need(AdapterPart::up, "lora_up"));
    PUMICE_ASSIGN(const StoredTensor* const down, need(AdapterPart::down, "lora_down"));
    const StoredTensor* const mid = part(AdapterPart::mid);
    Matrix right;
    if (mid) {
        PUMICE_ASSIGN(right, tucker(*mid, *down));
    } else {
        right = matrix(*down);
    }
    if (!pad(right)) return misshapen(*down, fmt::format("{} columns, for '{}'", columns(), m_.target.weight->name));
    const Matrix left = matrix(*up);
    if (left.rows != m_.target.rows || left.columns != right.rows || left.columns == 0)
        return misshapen(*up, fmt::format("[{}, {}], for '{}'", m_.target.rows, right.rows, m_.target.weight->name));
    patch_.change.kind = Kind::low_rank;
    patch_.change.rank = static_cast<std::uint32_t>(right.rows);
    patch_.change.a = append(left);
    patch_.change.b = append(right);
    return scale(rows_of(*down));
}

Status Builder::hadamard() {
    struct Side {
        AdapterPart a, b, core;
        const char* what;
    };
    const Side sides[2] = {
        {AdapterPart::hada_w1_a, AdapterPart::hada_w1_b, AdapterPart::hada_t1, "hada_w1_a, hada_w1_b"},
        {AdapterPart::hada_w2_a, AdapterPart::hada_w2_b, AdapterPart::hada_t2, "hada_w2_a, hada_w2_b"}};
    std::uint32_t places[2][2], ranks[2];
    for (int i = 0; i < 2; ++i) {
        PUMICE_ASSIGN(const StoredTensor* const a, need(sides[i].a, sides[i].what));
        PUMICE_ASSIGN(const StoredTensor* const b, need(sides[i].b, sides[i].what));
        const StoredTensor* const core = part(sides[i].core);
        Matrix left = core ? transposed(*a) : matrix(*a), right;
        if (core) {
            PUMICE_ASSIGN(right, tucker(*core, *b));
        } else {
            right = matrix(*b);
        }
        if (!pad(right)) return misshapen(*b, fmt::format("{} columns, for '{}'", columns(), m_.target.weight->name));
        if (left.rows != m_.target.rows || left.columns != right.rows || left.columns == 0)
            return misshapen(*a, fmt::format("{} by {}, for '{}'", m_.target.rows, right.rows, m_.target.weight->name));
        places[i][0] = append(left);
        places[i][1] = append(right);
        ranks[i] = static_cast<std::uint32_t>(right.rows);
    }
    ops::MergeChange& c = patch_.change;
    c.kind = Kind::hadamard;
    c.a = places[0][0], c.b = places[0][1], c.c = places[1][0], c.d = places[1][1];
    c.rank = ranks[0], c.rank2 = ranks[1];
    return scale(rows_of(*part(AdapterPart::hada_w1_b)));
}

Status Builder::kronecker() {
    std::uint64_t rank = 0;
    Matrix left, right;
    if (const StoredTensor* const whole = part(AdapterPart::lokr_w1)) {
        left = matrix(*whole);
    } else {
        PUMICE_ASSIGN(const StoredTensor* const a, need(AdapterPart::lokr_w1_a, "lokr_w1"));
        PUMICE_ASSIGN(const StoredTensor* const b, need(AdapterPart::lokr_w1_b, "lokr_w1_b"));
        PUMICE_ASSIGN(left, factored(*a, *b));
        rank = rows_of(*b);
    }
    if (const StoredTensor* const whole = part(AdapterPart::lokr_w2)) {
        right = matrix(*whole);
    } else {
        PUMICE_ASSIGN(const StoredTensor* const a, need(AdapterPart::lokr_w2_a, "lokr_w2"));
        PUMICE_ASSIGN(const StoredTensor* const b, need(AdapterPart::lokr_w2_b, "lokr_w2_b"));
        rank = rows_of(*b);
        if (const StoredTensor* const core = part(AdapterPart::lokr_t2)) {
            PUMICE_ASSIGN(const Matrix inner, tucker(*core, *b));
            const Matrix outer = transposed(*a);
            if (outer.columns != inner.rows) return misshapen(*a, fmt::format("{} rows", inner.rows));
            right = product(outer, inner);
        } else {
            PUMICE_ASSIGN(right, factored(*a, *b));
        }
    }
    const StoredTensor& named = *m_.parts.begin()->second;
    if (left.rows * right.rows != m_.target.rows || left.columns * right.columns != columns() || right.rows == 0 ||
        right.columns % taps() != 0)
        return Error{Code::bad_format,
                     fmt::format("tensor '{}' and those beside it make [{}, {}], but [{}, {}] is needed, "
                                 "for '{}'",
                                 printable(named.name), left.rows * right.rows, left.columns * right.columns,
                                 m_.target.rows, columns(), m_.target.weight->name)};
    ops::MergeChange& c = patch_.change;
    c.kind = Kind::kronecker;
    c.rank = static_cast<std::uint32_t>(left.columns);
    c.rank2 = static_cast<std::uint32_t>(right.columns / taps());
    c.b_rows = static_cast<std::uint32_t>(right.rows);
    c.a = append(left);
    c.b = append(right);
    return rank > 0 ? scale(rank) : Status{};
}

Status Builder::difference(AdapterPart which, std::uint64_t columns) {
    const StoredTensor& t = *part(which);
    Matrix m{m_.target.rows, t.elements() / m_.target.rows, values_ ? values_of(t) : std::vector<float>()};
    const bool fits =
        t.elements() % m_.target.rows == 0 && (m.columns == columns || (which == AdapterPart::difference && pad(m)));
    if (!fits) return misshapen(t, fmt::format("{} by {}, for '{}'", m_.target.rows, columns, m_.target.weight->name));
    patch_.change.kind = Kind::difference;
    patch_.change.a = append(m);
    return {};
}

Status Builder::ia3() {
    const StoredTensor& t = *part(AdapterPart::ia3_weight);
    float on_input = 0;
    const StoredTensor& flag = *part(AdapterPart::ia3_on_input);
    if (flag.elements() != 1) return misshapen(flag, "one number");
    read_f32(flag, 0, {&on_input, 1});
    const std::uint64_t wanted = on_input != 0 ? channels() : m_.target.rows;
    if (t.elements() != wanted) return misshapen(t, fmt::format("[{}], for '{}'", wanted, m_.target.weight->name));
    patch_.change.kind = on_input != 0 ? Kind::columns : Kind::rows;
    patch_.change.a = append(matrix(t));
    return {};
}

Status Builder::magnitudes() {
    const StoredTensor* const t = part(AdapterPart::dora_scale);
    if (!t) return {};
    const bool of_rows = rows_of(*t) == m_.target.rows && t->elements() == m_.target.rows;
    if (!of_rows && t->elements() != channels())
        return misshapen(*t,
                         fmt::format("{} or {} numbers, for '{}'", m_.target.rows, channels(), m_.target.weight->name));
    patch_.change.magnitudes = of_rows ? Magnitudes::rows : Magnitudes::channels;
    patch_.change.magnitude = append(matrix(*t));
    return {};
}

}  // namespace

bool AdapterModule::changes_weight() const {
    const auto has = [&](AdapterPart p) { return parts.count(p) > 0; };
    return has(AdapterPart::up) || has(AdapterPart::down) || has(AdapterPart::hada_w1_a) ||
           has(AdapterPart::hada_w2_a) || has(AdapterPart::lokr_w1) || has(AdapterPart::lokr_w1_a) ||
           has(AdapterPart::lokr_w2) || has(AdapterPart::lokr_w2_a) || has(AdapterPart::difference) ||
           (has(AdapterPart::ia3_weight) && has(AdapterPart::ia3_on_input));
}

Result<AdapterPatch> weight_patch(const AdapterModule& module, bool values) {
    const auto has = [&](AdapterPart p) { return module.parts.count(p) > 0; };
    Builder b(module, values);
    if (has(AdapterPart::up) || has(AdapterPart::down)) {
        PUMICE_TRY(b.low_rank());
        PUMICE_TRY(b.magnitudes());
    } else if (has(AdapterPart::hada_w1_a) || has(AdapterPart::hada_w2_a)) {
        PUMICE_TRY(b.hadamard());
        PUMICE_TRY(b.magnitudes());
    } else if (has(AdapterPart::difference)) {
        PUMICE_TRY(b.difference(AdapterPart::difference, module.target.columns()));
    } else if (has(AdapterPart::ia3_weight)) {
        PUMICE_TRY(b.ia3());
    } else {
        PUMICE_TRY(b.kronecker());
        PUMICE_TRY(b.magnitudes());
    }
    return std::move(b).done();
}

Result<AdapterPatch> bias_patch(const AdapterModule& module, bool values) {
    Builder b(module, values);
    PUMICE_TRY(b.difference(AdapterPart::bias_difference, 1));
    return std::move(b).done();
}

AdapterPatch at_strength(AdapterPatch patch, float strength) {
    if (patch.change.magnitudes == ops::MergeChange::Magnitudes::none) patch.change.factor *= strength;
    patch.change.strength = strength;
    return patch;
}

}  // namespace pumice
