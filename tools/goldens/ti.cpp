#include <cmath>

#include <fmt/format.h>

#include "models/model.hpp"
#include "pipelines/prompt_conditioning.hpp"
#include "suite.hpp"
#include "text/prompt.hpp"

namespace pumice::goldens {
namespace {

using nlohmann::json;

/// Tokens, weights and the places of the embedding in every chunk of a row.
Result<bool> same_chunks(const Model& model, const json& row, const TextualInversion& embedding) {
    PUMICE_ASSIGN(auto ids, model.tokenizer().encode(embedding.name));
    const std::vector<PromptEmbedding> embeddings{{std::move(ids), embedding.count()}};
    PUMICE_ASSIGN(const auto chunks, chunk_prompt(model.tokenizer(), row["text"].get<std::string>(), embeddings));
    const json& expected = row["chunks"];
    if (chunks.size() != expected.size()) return false;
    for (std::size_t i = 0; i < chunks.size(); ++i) {
        json fixes = json::array();
        for (const EmbeddingPlace& place : chunks[i].embeddings) fixes.push_back({place.token - 1, embedding.name});
        if (fixes != expected[i]["fixes"]) return false;
        for (std::size_t t = 0; t < tokens_per_chunk; ++t)
            if (chunks[i].tokens[t] != expected[i]["tokens"][t] ||
                std::abs(double(chunks[i].weights[t]) - expected[i]["multipliers"][t].get<double>()) > 1e-6)
                return false;
    }
    return true;
}

/// The conditioning of a prompt with an embedding, as the pipeline makes it.
Result<Conditioning> conditioning(Model& model, const std::string& prompt, const TextualInversion& embedding) {
    const std::vector<TextualInversion> all{embedding};
    PUMICE_ASSIGN(const auto made, PromptConditioning::encode(model, {.prompt = prompt,
                                                                      .negative_prompt = {},
                                                                      .steps = 1,
                                                                      .clip_skip = 1,
                                                                      .sizes = {},
                                                                      .embeddings = all,
                                                                      .emphasis = Emphasis::original}));
    return *made.steps().front().cond.front().conditioning;
}

Status sd1(Suite& suite, const json& rows) {
    PUMICE_ASSIGN(const auto device, suite.device());
    PUMICE_ASSIGN(const auto kernels, suite.kernels());
    PUMICE_ASSIGN(const auto model, Model::load(device, kernels, suite.path("sd1/sd1_tiny.safetensors"),
                                                {.precision = suite.options().precision}));
    // The same vectors in both files: each serves every other prompt.
    PUMICE_ASSIGN(const auto safetensors, TextualInversion::open(suite.path("ti/my-emb.safetensors")));
    PUMICE_ASSIGN(const auto pt, TextualInversion::open(suite.path("ti/my-emb.pt")));
    suite.helper("ti/my-emb");
    suite.exact("ti/my-emb", safetensors.first.values == pt.first.values && safetensors.count() == 3, "both files");
    std::size_t right = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const std::string name = "ti/cond" + std::to_string(i);
        PUMICE_ASSIGN(const bool same, same_chunks(*model, rows[i], pt));
        right += same;
        if (!suite.exists(name + ".npy") || !suite.wanted(name)) continue;
        PUMICE_ASSIGN(const auto expected, suite.npy(name + ".npy"));
        PUMICE_ASSIGN(const auto got, conditioning(*model, rows[i]["text"], i % 2 == 0 ? safetensors : pt));
        suite.compare_network(name, got.values, expected.data);
    }
    if (suite.wanted("ti/prompts"))
        suite.exact("ti/prompts", right == rows.size(), fmt::format("{} of {}", right, rows.size()));
    return {};
}

Status sdxl(Suite& suite, const json& rows) {
    if (!suite.exists("ti/my-emb-xl.safetensors") || !suite.wanted("ti/sdxl_cond0")) return {};
    for (const char* file : {"ti/my-emb-xl", "ti/sdxl_pooled0"}) suite.helper(file);
    PUMICE_ASSIGN(const auto device, suite.device());
    PUMICE_ASSIGN(const auto kernels, suite.kernels());
    PUMICE_ASSIGN(const auto model, Model::load(device, kernels, suite.path("sdxl/sdxl_tiny.safetensors"),
                                                {.precision = suite.options().precision}));
    PUMICE_ASSIGN(auto embedding, TextualInversion::open(suite.path("ti/my-emb-xl.safetensors")));
    embedding.name = "my-emb";
    PUMICE_ASSIGN(const auto expected, suite.npy("ti/sdxl_cond0.npy"));
    PUMICE_ASSIGN(const auto pooled, suite.npy("ti/sdxl_pooled0.npy"));
    PUMICE_ASSIGN(const auto got, conditioning(*model, rows[0]["text"], embedding));
    suite.compare_network("ti/sdxl_cond0", got.values, expected.data);
    // The sizes stand behind the pooled state.
    suite.compare_network("ti/sdxl_pooled0", std::span(got.vector).first(pooled.data.size()), pooled.data);
    return {};
}

}  // namespace

void ti_cases(Suite& suite) {
    if (!suite.exists("ti/prompts.json")) return;
    suite.run("ti", [&]() -> Status {
        PUMICE_ASSIGN(const json prompts, suite.json("ti/prompts.json"));
        PUMICE_TRY(sd1(suite, prompts["rows"]));
        return sdxl(suite, prompts["rows"]);
    });
}

}  // namespace pumice::goldens
