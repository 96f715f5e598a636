#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct CombinationPush {
    std::array<std::uint32_t, 8> x_base;
    std::array<float, 8> weights;
    std::uint32_t y_base, quads, params_index;
};

/// What the three operators of this file come down to.
struct Combination {
    const char* op;
    std::vector<TensorId> terms;
    std::array<float, 8> weights{};
    TensorId params{};  ///< if set, the weights are its elements from params_index on
    std::uint32_t params_index = 0;
    TensorId out{};
};

bool check(Graph& g, const Combination& c) {
    const auto reject = [&](const std::string& what) { return fail(g, c.op, what), false; };
    const std::size_t most = combines_eight(g) ? 8 : 4;
    if (c.terms.empty() || c.terms.size() > most)
        return reject(std::to_string(c.terms.size()) + " terms, not 1 to " + std::to_string(most));
    for (const TensorId t : c.terms) {
        if (!check_activations(g, c.op, {t})) return false;
        if (g.shape(t) != g.shape(c.terms[0]) || g.dtype(t) != g.dtype(c.terms[0]))
            return reject(describe(g, t) + " beside " + describe(g, c.terms[0]));
    }
    if (c.out && (g.shape(c.out) != g.shape(c.terms[0]) || g.dtype(c.out) != g.dtype(c.terms[0])))
        return reject("output " + describe(g, c.out) + " of terms " + describe(g, c.terms[0]));
    if (c.params && (g.dtype(c.params) != DType::f32 || c.params_index + c.terms.size() > g.shape(c.params).elements()))
        return reject("parameters from " + std::to_string(c.params_index) + " of " + describe(g, c.params));
    return true;
}

TensorId combine(Graph& g, const Combination& c) {
    if (!check(g, c)) return {};
    const TensorId first_term = c.terms[0];
    const TensorId y = c.out ? c.out : g.transient(g.shape(first_term), g.dtype(first_term));
    const auto terms = static_cast<std::uint32_t>(c.terms.size());
    const std::uint32_t bound = terms > 4 ? 8 : 4;
    const double flops = 8.0 * terms;
    const std::uint64_t quads = g.shape(first_term).elements() / 4;
    Node node{label(g, c.op), {}};
    for_pieces(quads, quads_per_dispatch(g, quads, flops), [&](std::uint64_t first, std::uint64_t count) {
        RowBindings b(g);
        CombinationPush push{{}, c.weights, 0, static_cast<std::uint32_t>(count), c.params_index};
        // All bindings are set: those without use repeat the first term.
        for (std::uint32_t i = 0; i < bound; ++i)
            push.x_base[i] = b.rows(i < terms ? c.terms[i] : first_term, first, count, 4, Access::read);
        push.y_base = b.rows(y, first, count, 4, Access::write);
        if (c.params)
            b.whole(c.params, Access::read);
        else
            b.rows(first_term, first, count, 4, Access::read);
        node.dispatches.push_back(make_dispatch(module_name("linear_combination", {name_of(g.dtype(y)), bound == 8 ? "eight" : "four"}),
                                                {terms, c.params ? 1u : 0u}, std::move(b), push,
                                                spread(g, divide_up(count, kQuadWorkgroup)), flops * double(count)));
    });
    g.add(std::move(node));
    return y;
}

}  // namespace

bool combines_eight(const Graph& g) {
    return g.caps().max_storage_buffers >= 10;
}

TensorId linear_combination(Graph& g, std::span<const Term> terms, TensorId out) {
    Combination c{"linear_combination", {}, {}, {}, 0, out};
    for (std::size_t i = 0; i < terms.size(); ++i) {
        c.terms.push_back(terms[i].x);
        if (i < c.weights.size()) c.weights[i] = terms[i].weight;
    }
    return combine(g, c);
}

TensorId linear_combination_by(Graph& g, std::span<const TensorId> terms, TensorId params, std::uint32_t index,
                               TensorId out) {
    if (!params) return fail(g, "linear_combination_by", "no parameters are given");
    return combine(g, {"linear_combination_by", {terms.begin(), terms.end()}, {}, params, index, out});
}

TensorId add(Graph& g, TensorId a, TensorId b) {
    return combine(g, {"add", {a, b}, {1, 1}, {}, 0, {}});
}

}  // namespace pumice::ops
