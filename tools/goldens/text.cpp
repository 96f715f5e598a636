#include <map>

#include "models/conditioning.hpp"
#include "models/model.hpp"
#include "network.hpp"
#include "text/prompt.hpp"

namespace pumice::goldens {
namespace {

/// The text encoder over all rows of sd1_ids at once.
struct Encoder {
    Suite& suite;
    Model& model;
    Precision precision;

    /// Final states for a clip skip, and with `hidden` the states before each layer and after the last.
    Status run(std::uint32_t clip_skip, std::vector<float>& states, std::vector<std::vector<float>>* hidden) const {
        PUMICE_ASSIGN(const auto ids, read_npy<std::int32_t>(suite.path("text/sd1_ids.npy")));
        Network network(model.device(), model.kernels(), precision);
        Graph& g = network.graph();
        const Shape shape{static_cast<std::uint32_t>(ids.shape[0]), 1, static_cast<std::uint32_t>(ids.shape[1]), 1};
        const TensorId tokens = network.input(shape, DType::i32, std::as_bytes(std::span(ids.data)));
        std::vector<TensorId> outputs;
        const TensorId last = text_encoder(g, model.text_weights(), tokens,
                                           {.heads = model.config().text.heads, .clip_skip = clip_skip,
                                            .hidden = hidden ? &outputs : nullptr});
        if (const Error* error = g.error()) return *error;
        outputs.push_back(last);
        PUMICE_TRY(model.text_weights().flush());
        PUMICE_TRY(network.run(outputs));
        PUMICE_ASSIGN(states, network.read(last));
        outputs.pop_back();
        for (const TensorId id : outputs) {
            PUMICE_ASSIGN(auto values, network.read(id));
            hidden->push_back(std::move(values));
        }
        return {};
    }
};

Status encoder_cases(Suite& suite, const Encoder& encoder) {
    const auto check = [&](const std::string& name, std::span<const float> got) -> Status {
        if (!suite.exists("text/" + name + ".npy") || !suite.wanted("text/" + name)) return {};
        PUMICE_ASSIGN(const auto expected, suite.npy("text/" + name + ".npy"));
        suite.compare_network("text/" + name, got, expected.data);
        return {};
    };
    std::vector<float> states;
    std::vector<std::vector<float>> hidden;
    PUMICE_TRY(encoder.run(1, states, &hidden));
    PUMICE_TRY(check("sd1_last", states));
    for (std::size_t i = 0; i < hidden.size(); ++i) PUMICE_TRY(check("sd1_hidden" + std::to_string(i), hidden[i]));

    // The state at the first end token, which has the largest id.
    PUMICE_ASSIGN(const auto ids, read_npy<std::int32_t>(suite.path("text/sd1_ids.npy")));
    const std::size_t tokens = ids.shape[1], width = states.size() / ids.data.size();
    std::vector<float> pooled;
    for (std::size_t row = 0; row < ids.shape[0]; ++row) {
        const auto begin = ids.data.begin() + static_cast<std::ptrdiff_t>(row * tokens);
        const auto end = static_cast<std::size_t>(
            std::max_element(begin, begin + static_cast<std::ptrdiff_t>(tokens)) - ids.data.begin());
        pooled.insert(pooled.end(), states.begin() + static_cast<std::ptrdiff_t>(end * width),
                      states.begin() + static_cast<std::ptrdiff_t>((end + 1) * width));
    }
    PUMICE_TRY(check("sd1_pooled", pooled));
    for (const std::uint32_t skip : {2u, 3u}) {
        PUMICE_TRY(encoder.run(skip, states, nullptr));
        PUMICE_TRY(check("sd1_skip" + std::to_string(skip), states));
    }
    return {};
}

/// Whole prompts: chunks, text encoder, emphasis.
Status emphasis_cases(Suite& suite, Model& model) {
    PUMICE_ASSIGN(const auto prompts, suite.json("text/emph_prompts.json"));
    suite.helper("text/emph_prompts");
    for (const std::uint32_t skip : {1u, 2u}) {
        PUMICE_ASSIGN(const auto conditioner,
                      TextConditioner::create(model.device(), *model.kernels(), model.text_weights(),
                                              suite.options().precision == Precision::exact,
                                              model.config().text.heads, skip));
        for (std::size_t i = 0; i < prompts.size(); ++i) {
            PUMICE_ASSIGN(const auto chunks, chunk_prompt(model.tokenizer(), prompts[i].get<std::string>()));
            for (const Emphasis emphasis : {Emphasis::original, Emphasis::no_norm}) {
                const std::string name = "text/emph" + std::to_string(i) + (skip == 2 ? "_skip2" : "") +
                                         (emphasis == Emphasis::no_norm ? "_nonorm" : "");
                if (!suite.exists(name + ".npy") || !suite.wanted(name)) continue;
                PUMICE_ASSIGN(const auto got, conditioner->encode(chunks, nullptr, emphasis));
                PUMICE_ASSIGN(const auto expected, suite.npy(name + ".npy"));
                suite.compare_network(name, got.values, expected.data);
            }
        }
    }
    return {};
}

Status all_cases(Suite& suite) {
    PUMICE_ASSIGN(const auto device, suite.device());
    PUMICE_ASSIGN(const auto kernels, suite.kernels());
    PUMICE_ASSIGN(const auto model, Model::load(device, kernels, suite.path("sd1/sd1_tiny.safetensors"),
                                                {.precision = suite.options().precision}));
    for (const char* input : {"text/prompts", "text/sd1_ids"}) suite.helper(input);
    PUMICE_TRY(encoder_cases(suite, {suite, *model, suite.options().precision}));
    return emphasis_cases(suite, *model);
}

}  // namespace

void text_cases(Suite& suite) {
    if (suite.exists("text/sd1_ids.npy")) suite.run("text", [&] { return all_cases(suite); });
}

}  // namespace pumice::goldens
