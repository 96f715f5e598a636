#include <map>

#include "models/conditioning.hpp"
#include "models/model.hpp"
#include "network.hpp"
#include "text/prompt.hpp"

namespace pumice::goldens {
namespace {

/// One text encoder of a model over all rows of a file of tokens at once.
struct Encoder {
    Suite& suite;
    Model& model;
    Precision precision;
    std::size_t index = 0;  ///< of config().text
    std::string ids_file = "text/sd1_ids.npy";

    struct Outputs {
        std::vector<float> states, last;
        std::vector<std::vector<float>> hidden;
    };

    Result<Npy<std::int32_t>> ids() const { return read_npy<std::int32_t>(suite.path(ids_file)); }

    Result<Outputs> run(TextConfig config, std::uint32_t clip_skip) const {
        PUMICE_ASSIGN(const auto tokens_of, ids());
        Network network(model.device(), model.kernels(), precision);
        Graph& g = network.graph();
        const Shape shape{static_cast<std::uint32_t>(tokens_of.shape[0]), 1,
                          static_cast<std::uint32_t>(tokens_of.shape[1]), 1};
        const TensorId tokens = network.input(shape, DType::i32, std::as_bytes(std::span(tokens_of.data)));
        std::vector<TensorId> hidden;
        TensorId last{};
        const TensorId states = text_encoder(g, model.text_weights(index), tokens, config,
                                             {.clip_skip = clip_skip, .hidden = &hidden, .last_normed = &last});
        if (const Error* error = g.error()) return *error;
        std::vector<TensorId> all = hidden;
        all.push_back(states);
        all.push_back(last);
        PUMICE_TRY(model.text_weights(index).flush());
        PUMICE_TRY(network.run(all));
        Outputs out;
        PUMICE_ASSIGN(out.states, network.read(states));
        PUMICE_ASSIGN(out.last, network.read(last));
        for (const TensorId id : hidden) {
            PUMICE_ASSIGN(auto values, network.read(id));
            out.hidden.push_back(std::move(values));
        }
        return out;
    }
    Result<Outputs> run(std::uint32_t clip_skip = 1) const { return run(model.config().text[index], clip_skip); }

    /// The state of each row at its first end token, which has the largest id.
    Result<std::vector<float>> pooled(const std::vector<float>& states) const {
        PUMICE_ASSIGN(const auto tokens_of, ids());
        const std::size_t tokens = tokens_of.shape[1], width = states.size() / tokens_of.data.size();
        std::vector<float> rows;
        for (std::size_t row = 0; row < tokens_of.shape[0]; ++row) {
            const auto begin = tokens_of.data.begin() + static_cast<std::ptrdiff_t>(row * tokens);
            const auto end = static_cast<std::size_t>(
                std::max_element(begin, begin + static_cast<std::ptrdiff_t>(tokens)) - tokens_of.data.begin());
            rows.insert(rows.end(), states.begin() + static_cast<std::ptrdiff_t>(end * width),
                        states.begin() + static_cast<std::ptrdiff_t>((end + 1) * width));
        }
        return rows;
    }

    Status check(const std::string& name, std::span<const float> got) const {
        if (!suite.exists("text/" + name + ".npy") || !suite.wanted("text/" + name)) return {};
        PUMICE_ASSIGN(const auto expected, suite.npy("text/" + name + ".npy"));
        suite.compare_network("text/" + name, got, expected.data);
        return {};
    }
};

Status sd1_cases(const Encoder& e) {
    PUMICE_ASSIGN(const auto all, e.run());
    PUMICE_TRY(e.check("sd1_last", all.states));
    for (std::size_t i = 0; i < all.hidden.size(); ++i)
        PUMICE_TRY(e.check("sd1_hidden" + std::to_string(i), all.hidden[i]));
    PUMICE_ASSIGN(const auto pooled, e.pooled(all.states));
    PUMICE_TRY(e.check("sd1_pooled", pooled));
    for (const std::uint32_t skip : {2u, 3u}) {
        PUMICE_ASSIGN(const auto skipped, e.run(skip));
        PUMICE_TRY(e.check("sd1_skip" + std::to_string(skip), skipped.states));
    }
    return {};
}

Status sd2_cases(const Encoder& e) {
    PUMICE_ASSIGN(const auto all, e.run());
    PUMICE_TRY(e.check("sd2_penultimate", all.states));
    return e.check("sd2_last", all.last);
}

Status sdxl_size_cases(Suite& suite) {
    if (!suite.exists("text/sdxl_sizes.npy") || !suite.wanted("text/sdxl_size_embed")) return {};
    PUMICE_ASSIGN(const auto sizes, suite.npy("text/sdxl_sizes.npy"));
    PUMICE_ASSIGN(const auto expected, suite.npy("text/sdxl_size_embed.npy"));
    suite.compare_network("text/sdxl_size_embed", size_embedding(sizes.data), expected.data);
    return {};
}

Status sdxl_cases(const Encoder& l, const Encoder& g) {
    PUMICE_ASSIGN(const auto of_l, l.run());
    PUMICE_ASSIGN(const auto of_g, g.run());
    PUMICE_TRY(l.check("sdxl_l", of_l.states));
    PUMICE_TRY(g.check("sdxl_g", of_g.states));
    PUMICE_TRY(sdxl_size_cases(l.suite));

    // What the pipeline makes of the same rows, one by one.
    Model& model = l.model;
    const bool exact = l.suite.options().precision == Precision::exact;
    std::vector<std::unique_ptr<TextConditioner>> encoders;
    for (std::size_t i = 0; i < 2; ++i) {
        PUMICE_ASSIGN(auto made, TextConditioner::create(model.device(), *model.kernels(), model.text_weights(i), exact,
                                                         model.config().text[i], 1));
        encoders.push_back(std::move(made));
    }
    PUMICE_ASSIGN(const auto ids, l.ids());
    PUMICE_ASSIGN(const auto sizes, l.suite.npy("text/sdxl_sizes.npy"));
    const std::vector<float> embedded = size_embedding(sizes.data);
    std::vector<float> context, pooled, y;
    for (std::size_t row = 0; row < ids.shape[0]; ++row) {
        PromptChunk chunk{TokenRow(77), std::vector<float>(77, 1.0f)};
        std::copy_n(ids.data.begin() + static_cast<std::ptrdiff_t>(row * 77), 77, chunk.tokens.begin());
        std::vector<Conditioning> parts;
        for (const auto& encoder : encoders) {
            PUMICE_ASSIGN(auto part, encoder->encode({&chunk, 1}));
            parts.push_back(std::move(part));
        }
        const Conditioning both = side_by_side(parts);
        context.insert(context.end(), both.values.begin(), both.values.end());
        pooled.insert(pooled.end(), both.vector.begin(), both.vector.end());
        y.insert(y.end(), both.vector.begin(), both.vector.end());
        y.insert(y.end(), embedded.begin(), embedded.end());
    }
    PUMICE_TRY(g.check("sdxl_g_pooled", pooled));
    PUMICE_TRY(g.check("sdxl_crossattn", context));
    return g.check("sdxl_y", y);
}

/// Whole prompts: chunks, text encoder, emphasis.
Status emphasis_cases(Suite& suite, Model& model, const std::string& suffix) {
    PUMICE_ASSIGN(const auto prompts, suite.json("text/emph_prompts.json"));
    suite.helper("text/emph_prompts");
    for (const std::uint32_t skip : {1u, 2u}) {
        std::vector<std::unique_ptr<TextConditioner>> conditioners;
        for (std::size_t i = 0; i < model.config().text.size(); ++i) {
            PUMICE_ASSIGN(auto made, TextConditioner::create(model.device(), *model.kernels(), model.text_weights(i),
                                                             suite.options().precision == Precision::exact,
                                                             model.config().text[i], skip));
            conditioners.push_back(std::move(made));
        }
        for (std::size_t i = 0; i < prompts.size(); ++i) {
            PUMICE_ASSIGN(const auto chunks, chunk_prompt(model.tokenizer(), prompts[i].get<std::string>()));
            for (const Emphasis emphasis : {Emphasis::original, Emphasis::no_norm}) {
                const std::string name = "text/emph" + std::to_string(i) + (skip == 2 ? "_skip2" : "") +
                                         (emphasis == Emphasis::no_norm ? "_nonorm" : "") + suffix;
                if (!suite.exists(name + ".npy") || !suite.wanted(name)) continue;
                std::vector<Conditioning> parts;
                for (const auto& conditioner : conditioners) {
                    PUMICE_ASSIGN(auto part, conditioner->encode(chunks, nullptr, emphasis));
                    parts.push_back(std::move(part));
                }
                const Conditioning got = side_by_side(parts);
                PUMICE_ASSIGN(const auto expected, suite.npy(name + ".npy"));
                suite.compare_network(name, got.values, expected.data);
                if (!suite.exists(name + "_pooled.npy")) continue;
                suite.helper(name + "_pooled");
                PUMICE_ASSIGN(const auto pooled, suite.npy(name + "_pooled.npy"));
                suite.compare_network(name + "_pooled", got.vector, pooled.data);
            }
        }
    }
    return {};
}

Status all_cases(Suite& suite) {
    PUMICE_ASSIGN(const auto device, suite.device());
    PUMICE_ASSIGN(const auto kernels, suite.kernels());
    const Precision precision = suite.options().precision;
    for (const char* input : {"text/prompts", "text/sd1_ids", "text/openclip_ids", "text/sdxl_sizes"})
        suite.helper(input);
    for (const std::string family : {"sd1", "sd2", "sdxl"}) {
        const auto file = suite.path(family + "/" + family + "_tiny.safetensors");
        if (!std::filesystem::exists(file)) continue;
        PUMICE_ASSIGN(const auto model, Model::load(device, kernels, file, {.precision = precision}));
        const std::string open_ids = "text/openclip_ids.npy";
        if (family == "sd1") PUMICE_TRY(sd1_cases({suite, *model, precision}));
        if (family == "sd2") PUMICE_TRY(sd2_cases({suite, *model, precision, 0, open_ids}));
        if (family == "sdxl")
            PUMICE_TRY(sdxl_cases({suite, *model, precision}, {suite, *model, precision, 1, open_ids}));
        if (family != "sd2") PUMICE_TRY(emphasis_cases(suite, *model, family == "sdxl" ? "_sdxl" : ""));
    }
    return {};
}

}  // namespace

void text_cases(Suite& suite) {
    if (suite.exists("text/sd1_ids.npy")) suite.run("text", [&] { return all_cases(suite); });
}

}  // namespace pumice::goldens
