// The commands that work on files of models and pictures without a device, as they are typed.
#pragma once

#include <utility>
#include <vector>

#include "cli/command_line.hpp"
#include "cli/parser.hpp"
#include "outcome.hpp"

namespace pumice::cli {

/// What the commands that write a model share.
struct WriteCommand : Parser {
    CommandLine& line;
    Given output, type, format, vae, text_encoder, config;
    WriteCommand(CLI::App& parent, const char* name, CommandLine& to);
    Expected<void> read_shared(CommandLine::Command command);
};

struct Convert : WriteCommand {
    Given input;
    Convert(CLI::App& parent, CommandLine& to);
    Expected<void> read();
};

/// pumice models merge.
struct Merge : WriteCommand {
    Given a, b, c, method, alpha, blocks;
    Merge(CLI::App& models, CommandLine& to);
    Expected<void> read();
};

/// pumice models bake-vae: convert, with the VAE as an argument.
struct BakeVae : WriteCommand {
    Given model, baked;
    BakeVae(CLI::App& models, CommandLine& to);
    Expected<void> read();
};

/// pumice models bake-lora.
struct BakeLora : WriteCommand {
    Given model, loras;
    BakeLora(CLI::App& models, CommandLine& to);
    Expected<void> read();
};

/// pumice models extract-lora.
struct ExtractLora : WriteCommand {
    Given tuned, base, rank, conv_rank;
    ExtractLora(CLI::App& models, CommandLine& to);
    Expected<void> read();
};

/// pumice models list.
struct ModelsList : Parser {
    CommandLine& line;
    Given config;
    ModelsList(CLI::App& models, CommandLine& to);
    Expected<void> read();
};

/// pumice models verify.
struct ModelsVerify : Parser {
    CommandLine& line;
    Given config, sha256, file;
    ModelsVerify(CLI::App& models, CommandLine& to);
    Expected<void> read();
};

/// pumice info.
struct Info : Parser {
    CommandLine& line;
    Given picture;
    Info(CLI::App& program, CommandLine& to);
    Expected<void> read();
};

struct ModelCommands {
    Convert convert;
    Info info;
    ModelsList list;
    ModelsVerify verify;
    Merge merge;
    BakeVae bake_vae;
    BakeLora bake_lora;
    ExtractLora extract_lora;
    /// `program` has the commands that stand alone, `models` those of `pumice models`.
    ModelCommands(CLI::App& program, CLI::App& models, CommandLine&);
    /// With the names of their helps.
    std::vector<std::pair<const Parser*, const char*>> parsers() const;
    /// Whether one of them was given; it is then in the command line.
    Expected<bool> read();
};

}  // namespace pumice::cli
