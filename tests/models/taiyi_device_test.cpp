// A checkpoint whose text encoder is BERT, as Taiyi's: from Chinese to what the UNet attends to.
#include "catch.hpp"
#include "models/bert_encoder.hpp"
#include "models/model.hpp"
#include "ops/operator_run.hpp"
#include "pipelines/prompt_conditioning.hpp"
#include "weights/file_builder.hpp"

using namespace pumice;
using namespace pumice::test;

namespace {

constexpr std::uint32_t kWidth = 16, kInner = 24, kPositions = 12;
const std::string kVocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n小\n桥\n流\n水\n,\n";

/// The golden tiny model with a random BERT of one layer in the place of CLIP.
std::string checkpoint() {
    const WeightFile tiny = need(WeightFile::open(PUMICE_TEST_DATA "/goldens/sd1/sd1_tiny.safetensors"));
    FileBuilder builder;
    for (const StoredTensor& t : tiny.tensors())
        if (!t.name.starts_with("cond_stage_model."))
            builder.add(t.name, to_string(t.dtype), t.shape,
                        std::string(reinterpret_cast<const char*>(t.data.data()), t.data.size()));
    Random random(3);
    const auto add = [&](const std::string& name, std::vector<std::uint64_t> shape, float scale, float offset = 0) {
        std::uint64_t count = 1;
        for (const std::uint64_t n : shape) count *= n;
        std::vector<float> values = random.values(count, scale);
        for (float& v : values) v += offset;
        builder.add("cond_stage_model.transformer.text_model." + name, "F32", std::move(shape), values);
    };
    const auto linear = [&](const std::string& name, std::uint64_t n, std::uint64_t k) {
        add(name + ".weight", {n, k}, 0.5f);
        add(name + ".bias", {n}, 0.3f);
    };
    const auto norm = [&](const std::string& name) {
        add(name + ".weight", {kWidth}, 0.3f, 1);
        add(name + ".bias", {kWidth}, 0.3f);
    };
    add("embeddings.word_embeddings.weight", {9, kWidth}, 1);
    add("embeddings.position_embeddings.weight", {kPositions, kWidth}, 1);
    add("embeddings.token_type_embeddings.weight", {2, kWidth}, 1);
    norm("embeddings.LayerNorm");
    for (const char* part : {"query", "key", "value"})
        linear(std::string("encoder.layer.0.attention.self.") + part, kWidth, kWidth);
    linear("encoder.layer.0.attention.output.dense", kWidth, kWidth);
    norm("encoder.layer.0.attention.output.LayerNorm");
    linear("encoder.layer.0.intermediate.dense", kInner, kWidth);
    linear("encoder.layer.0.output.dense", kWidth, kInner);
    norm("encoder.layer.0.output.LayerNorm");
    std::string metadata;
    for (const auto& [key, value] : tiny.metadata()) {
        std::string escaped;
        for (const char c : value) escaped += c == '"' ? "\\\"" : std::string(1, c);
        metadata += fmt::format("{}\"{}\":\"{}\"", metadata.empty() ? "{" : ",", key, escaped);
    }
    return builder.metadata(metadata + "}").build();
}

std::shared_ptr<KernelCache> shared_kernels() {
    return {std::shared_ptr<void>(), &gpu().kernels};  // the fixture owns it
}

Result<std::unique_ptr<Model>> load(const TemporaryFolder& folder) {
    return Model::load(gpu().device, shared_kernels(), folder / "taiyi.safetensors", {.precision = Precision::exact});
}

}  // namespace

TEST_CASE("a model with BERT reads Chinese") {
    const TemporaryFolder folder;
    write_file(folder / "taiyi.safetensors", checkpoint());
    write_file(folder / "vocab.txt", kVocabulary);
    const auto model = need(load(folder));
    const TextConfig& text = model->config().text.front();
    CHECK(text.layout == TextLayout::bert);
    CHECK(text.width == kWidth);
    CHECK(text.layers == 1);
    CHECK(text.positions == kPositions);

    const auto encoded = [&](const std::string& prompt) {
        PromptRequest request;
        request.prompt = prompt;
        const auto all = need(PromptConditioning::encode(*model, request));
        return *all.at(0).cond.front().conditioning;
    };
    const Conditioning two = encoded("小桥");
    CHECK(two.tokens == kPositions);
    REQUIRE(two.values.size() == kPositions * kWidth);
    // [CLS] 小 桥 [SEP] and padding, all of it attended to.
    const std::vector<std::int32_t> tokens = {2, 4, 5, 3, 0, 0, 0, 0, 0, 0, 0, 0};
    OperatorRun r(Precision::exact);
    const TensorId in = r.input_raw({1, 1, kPositions, 1}, DType::i32, tokens);
    const TensorId y = bert_encoder(r.graph, model->text_weights(), in, text);
    need(model->text_weights().flush());
    CHECK(r.run(y) == two.values);

    // Ten places a chunk; a weight counts.
    CHECK(encoded("小桥流水小桥流水小桥").tokens == kPositions);
    CHECK(encoded("小桥流水小桥流水小桥流").tokens == 2 * kPositions);
    CHECK(encoded("(小:1.3)桥").values != two.values);
    CHECK(encoded("桥小").values != two.values);
}

TEST_CASE("a model with BERT needs its vocabulary") {
    const TemporaryFolder folder;
    write_file(folder / "taiyi.safetensors", checkpoint());
    const auto without = load(folder);
    REQUIRE_FALSE(without);
    CHECK(without.error().message == (folder / "vocab.txt").string() + ": there is no such file");
    write_file(folder / "vocab.txt", kVocabulary + "more\n");
    const auto larger = load(folder);
    REQUIRE_FALSE(larger);
    CHECK(larger.error().message == (folder / "vocab.txt").string() + ": 10 tokens, but the text encoder has 9");
}
