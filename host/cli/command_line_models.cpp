#include "cli/command_line_models.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace pumice::cli {

using Command = CommandLine::Command;

WriteCommand::WriteCommand(CLI::App& parent, const char* name, CommandLine& to)
    : Parser(parent.add_subcommand(name)),
      line(to),
      output(add(*app, "-o,--output")),
      type(add(*app, "--type")),
      format(add(*app, "--format")),
      vae(add(*app, "--vae")),
      text_encoder(add(*app, "--text-encoder")),
      config(add(*app, "--config")) {
    app->add_flag("--prune", line.write.prune);
    app->add_flag("--ema", line.write.ema);
    app->add_flag("--force", line.write.overwrite);
    app->add_flag("--json", line.json);
    app->add_flag("-q,--quiet", line.quiet);
}

Expected<void> WriteCommand::read_shared(Command command) {
    line.command = command;
    line.config = config.text();
    line.output = output.text();
    line.write.type = type.text().value_or("");
    line.write.format = format.text().value_or("");
    line.write.vae = vae.text().value_or("");
    line.write.text_encoder = text_encoder.text().value_or("");
    if (line.output && !line.output->empty()) return {};
    return Failure{PUMICE_INVALID_ARGUMENT,
                   fmt::format("{} needs the name of what it writes: -o model.safetensors", app->get_name())};
}

Convert::Convert(CLI::App& parent, CommandLine& to) : WriteCommand(parent, "convert", to), input(add(*app, "model")) {}

Expected<void> Convert::read() {
    if (!input.text()) return Failure{PUMICE_INVALID_ARGUMENT, "convert needs a model: a file or a folder"};
    line.file = *input.text();
    return read_shared(Command::convert);
}

Merge::Merge(CLI::App& models, CommandLine& to)
    : WriteCommand(models, "merge", to),
      a(add(*app, "a")),
      b(add(*app, "b")),
      c(add(*app, "c")),
      method(add(*app, "--method")),
      alpha(add(*app, "--alpha")),
      blocks(add(*app, "--blocks")) {}

namespace {

Expected<double> number(std::string_view text, const char* option) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && value >= 0 && value <= 2) return value;
    return Failure{PUMICE_INVALID_ARGUMENT,
                   fmt::format("{}: {} is not a number from 0 to 2", option, host::shown(text))};
}

}  // namespace

Expected<void> Merge::read() {
    if (!a.text() || !b.text()) return Failure{PUMICE_INVALID_ARGUMENT, "models merge needs two models, or three"};
    line.merge.a = *a.text();
    line.merge.b = *b.text();
    line.merge.c = c.text().value_or("");
    const std::string name = method.text().value_or(line.merge.c.empty() ? "weighted-sum" : "add-difference");
    if (name == "weighted-sum")
        line.merge.method = PUMICE_MERGE_WEIGHTED_SUM;
    else if (name == "add-difference")
        line.merge.method = PUMICE_MERGE_ADD_DIFFERENCE;
    else if (name == "slerp")
        line.merge.method = PUMICE_MERGE_SLERP;
    else
        return Failure{
            PUMICE_INVALID_ARGUMENT,
            fmt::format("--method: {} is not one of weighted-sum, add-difference, slerp", host::shown(name))};
    line.merge.alpha = line.merge.c.empty() ? 0.5 : 1;
    if (const auto text = alpha.text()) {
        HOST_ASSIGN(line.merge.alpha, number(*text, "--alpha"));
    }
    std::string list = blocks.text().value_or("");
    for (std::string_view rest = list; !rest.empty();) {
        const std::string_view one = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), one.size() + 1));
        HOST_ASSIGN(const double value, number(one, "--blocks"));
        line.merge.blocks.push_back(value);
    }
    return read_shared(Command::merge);
}

BakeVae::BakeVae(CLI::App& models, CommandLine& to)
    : WriteCommand(models, "bake-vae", to), model(add(*app, "model")), baked(add(*app, "vae-file")) {}

Expected<void> BakeVae::read() {
    if (!model.text() || !baked.text())
        return Failure{PUMICE_INVALID_ARGUMENT, "models bake-vae needs a model and a file with the VAE"};
    line.file = *model.text();
    HOST_TRY(read_shared(Command::bake_vae));
    line.write.vae = *baked.text();
    return {};
}

BakeLora::BakeLora(CLI::App& models, CommandLine& to)
    : WriteCommand(models, "bake-lora", to), model(add(*app, "-m,--model")), loras(add_all(*app, "--lora")) {}

Expected<void> BakeLora::read() {
    if (!model.text() || loras.option->count() == 0)
        return Failure{PUMICE_INVALID_ARGUMENT, "models bake-lora needs a model (-m) and at least one --lora"};
    line.file = *model.text();
    line.loras = loras.option->results();
    return read_shared(Command::bake_lora);
}

ExtractLora::ExtractLora(CLI::App& models, CommandLine& to)
    : WriteCommand(models, "extract-lora", to),
      tuned(add(*app, "tuned")),
      base(add(*app, "base")),
      rank(add(*app, "--rank")),
      conv_rank(add(*app, "--conv-rank")) {}

namespace {

Expected<std::uint32_t> whole_rank(std::string_view text, const char* option) {
    constexpr std::uint32_t kMost = 4096;
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && value >= 1 && value <= kMost) return value;
    return Failure{PUMICE_INVALID_ARGUMENT,
                   fmt::format("{}: {} is not a number from 1 to {}", option, host::shown(text), kMost)};
}

}  // namespace

Expected<void> ExtractLora::read() {
    if (!tuned.text() || !base.text())
        return Failure{PUMICE_INVALID_ARGUMENT, "models extract-lora needs two models: the tuned one, and its base"};
    line.extract.tuned = *tuned.text();
    line.extract.base = *base.text();
    if (const auto text = rank.text()) {
        HOST_ASSIGN(line.extract.rank, whole_rank(*text, "--rank"));
    }
    if (const auto text = conv_rank.text()) {
        HOST_ASSIGN(line.extract.conv_rank, whole_rank(*text, "--conv-rank"));
    }
    return read_shared(Command::extract_lora);
}

ModelsList::ModelsList(CLI::App& models, CommandLine& to)
    : Parser(models.add_subcommand("list")), line(to), config(add(*app, "--config")) {
    app->add_flag("--json", line.json);
    app->add_flag("--no-hash", line.no_hash);
    app->add_flag("-q,--quiet", line.quiet);
}

Expected<void> ModelsList::read() {
    line.command = Command::models_list;
    line.config = config.text();
    return {};
}

ModelsVerify::ModelsVerify(CLI::App& models, CommandLine& to)
    : Parser(models.add_subcommand("verify")),
      line(to),
      config(add(*app, "--config")),
      sha256(add(*app, "--sha256")),
      file(add(*app, "file")) {
    app->add_flag("--json", line.json);
    app->add_flag("-q,--quiet", line.quiet);
}

Expected<void> ModelsVerify::read() {
    line.command = Command::models_verify;
    line.config = config.text();
    if (!file.text()) return Failure{PUMICE_INVALID_ARGUMENT, "models verify needs a file"};
    line.file = *file.text();
    line.sha256 = sha256.text().value_or("");
    for (char& c : line.sha256)
        if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
    if (line.sha256.size() > 64 || line.sha256.find_first_not_of("0123456789abcdef") != std::string::npos)
        return Failure{PUMICE_INVALID_ARGUMENT, fmt::format("--sha256: {} is not made of up to 64 hexadecimal digits",
                                                            host::shown(line.sha256))};
    return {};
}

Info::Info(CLI::App& program, CommandLine& to)
    : Parser(program.add_subcommand("info")), line(to), picture(add(*app, "picture")) {
    app->add_flag("--json", line.json);
    app->add_flag("--raw", line.raw);
}

Expected<void> Info::read() {
    line.command = Command::info;
    if (!picture.text()) return Failure{PUMICE_INVALID_ARGUMENT, "info needs a picture: a PNG file"};
    line.picture = *picture.text();
    return {};
}

ModelCommands::ModelCommands(CLI::App& program, CLI::App& models, CommandLine& line)
    : convert(program, line),
      info(program, line),
      list(models, line),
      verify(models, line),
      merge(models, line),
      bake_vae(models, line),
      bake_lora(models, line),
      extract_lora(models, line) {}

std::vector<std::pair<const Parser*, const char*>> ModelCommands::parsers() const {
    return {{&convert, "convert"},      {&info, "info"},   {&list, "models list"},
            {&verify, "models verify"}, {&merge, "merge"}, {&bake_vae, "bake-vae"},
            {&bake_lora, "bake-lora"},  {&extract_lora, "extract-lora"}};
}

Expected<bool> ModelCommands::read() {
    const auto read_if = [](auto& command) -> Expected<bool> {
        if (!command.app->parsed()) return false;
        HOST_TRY(command.read());
        return true;
    };
    HOST_ASSIGN(bool given, read_if(convert));
    if (!given) {
        HOST_ASSIGN(given, read_if(info));
    }
    if (!given) {
        HOST_ASSIGN(given, read_if(list));
    }
    if (!given) {
        HOST_ASSIGN(given, read_if(verify));
    }
    if (!given) {
        HOST_ASSIGN(given, read_if(merge));
    }
    if (!given) {
        HOST_ASSIGN(given, read_if(bake_vae));
    }
    if (!given) {
        HOST_ASSIGN(given, read_if(bake_lora));
    }
    if (!given) {
        HOST_ASSIGN(given, read_if(extract_lora));
    }
    return given;
}

}  // namespace pumice::cli
