// Reading settings: flags, environment and file into one struct, by walking its table. Every error
// says where the value came from (flag, variable, or file and line), what is wrong with it and what
// would be accepted, since whoever reads it has only that text. All values are checked, also those
// that a source of higher precedence replaces.
#include "base/config.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include "base/text.hpp"

namespace benchfs::config {
namespace {

/// A configuration is a page or two; anything larger is the wrong file.
constexpr std::size_t kFileBytesMax = 64 * 1024;
constexpr std::string_view kVariablePrefix = "BENCHFS_";
constexpr std::string_view kConfigVariable = "BENCHFS_CONFIG";
/// Options of UCX for this program alone: UCX reads them by itself.
constexpr std::string_view kUcxPrefix = "BENCHFS_UCX_";

std::unexpected<std::string> problem(std::string text) {
  return std::unexpected(std::move(text));
}

std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 80;
  const std::string shown = escape_line(text.substr(0, kShown));
  return fmt::format("\"{}{}\"", shown, text.size() > kShown ? "..." : "");
}

std::optional<std::string> check_number(const Rule& rule, std::uint64_t value) {
  if (value == 0 && !rule.zero.empty()) return std::nullopt;
  if (value < rule.min || value > rule.max) return "is out of range";
  if (rule.power_of_two && !std::has_single_bit(value)) return "is not a power of two";
  return std::nullopt;
}

std::optional<std::string> check_text(const Rule& rule, std::string_view text) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::any_of(text.begin(), text.end(), is_control)) return "has a control character";
  if (!text.empty() && rule.valid != nullptr && !rule.valid(text)) return "is not valid";
  return std::nullopt;
}

std::expected<Value, std::string> parse_number(const Option& option, const std::string& text) {
  std::expected<std::uint64_t, std::string> number;
  std::uint64_t unit = 1;
  switch (option.kind) {
    case Kind::size:
      number = parse_size(text);
      break;
    case Kind::duration_ms:
      number = parse_duration_ns(text);
      unit = 1'000'000;
      break;
    case Kind::duration_us:
      number = parse_duration_ns(text);
      unit = 1'000;
      break;
    default:
      number = parse_integer(text);
  }
  if (!number) return problem(fmt::format("{}: {}", quoted(text), number.error()));
  if (*number % unit != 0)
    return problem(fmt::format("{} is finer than {}", quoted(text), exact_duration(unit)));
  const std::uint64_t value = *number / unit;
  if (const auto wrong = check_number(option.rule, value))
    return problem(fmt::format("{} {}", quoted(text), *wrong));
  return Value{value};
}

std::expected<Value, std::string> parse_list(const Option& option, std::vector<std::string> items) {
  for (const std::string& item : items) {
    if (item.empty()) return problem("has an empty entry");
    if (const auto wrong = check_text(option.rule, item))
      return problem(fmt::format("{} {}", quoted(item), *wrong));
  }
  return Value{std::move(items)};
}

std::expected<Value, std::string> parse_value(const Option& option, const std::string& text) {
  switch (option.kind) {
    case Kind::size:
    case Kind::duration_ms:
    case Kind::duration_us:
    case Kind::integer:
      return parse_number(option, text);
    case Kind::boolean:
      if (text != "true" && text != "false")
        return problem(fmt::format("{} is not true or false", quoted(text)));
      return Value{text == "true"};
    case Kind::string:
    case Kind::path:
      if (const auto wrong = check_text(option.rule, text))
        return problem(fmt::format("{} {}", quoted(text), *wrong));
      return Value{text};
    case Kind::list:
      return parse_list(option, split_list(text));
    case Kind::choice:
      for (std::size_t i = 0; i < option.rule.choices.size(); ++i) {
        if (option.rule.choices[i] == text) return Value{std::uint64_t{i}};
      }
      return problem(fmt::format("{} is not one of these", quoted(text)));
  }
  return problem("has no type");
}

std::string complaint(std::string_view source, const Option& option, std::string_view what) {
  return fmt::format("{}: {}: {}; accepted: {}", source, option.key, what, accepted_text(option));
}

std::expected<void, std::string> assign(const Option& option, std::string_view source,
                                        const std::expected<Value, std::string>& value,
                                        void* config) {
  if (!value) return problem(complaint(source, option, value.error()));
  option.store(config, *value);
  return {};
}

const Option* find(Options options, std::string_view key) {
  const auto at = std::find_if(options.begin(), options.end(),
                               [&](const Option& option) { return option.key == key; });
  return at == options.end() ? nullptr : &*at;
}

/// Levenshtein distance.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row[b.size()];
}

/// The known setting that `key` was probably meant to be, or none.
const Option* nearest(std::string_view key, Options options, Options others) {
  const Option* best = nullptr;
  std::size_t best_distance = key.size() / 3 + 1;
  if (key.size() > 64) return nullptr;
  for (const Options table : {options, others}) {
    for (const Option& option : table) {
      const std::size_t d = distance(key, option.key);
      if (d < best_distance) {
        best = &option;
        best_distance = d;
      }
    }
  }
  return best;
}

/// From another spelling ("--Chunk-Size", "BENCHFS_CHUNKSIZE" without its prefix) to that of keys.
std::string as_key(std::string_view name) {
  std::string key(name);
  for (char& c : key) {
    if (c == '-') c = '_';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return key;
}

// ---- the file ----------------------------------------------------------------------------------

/// Takes a document's events and does nothing with them.
struct NoEvents final : YAML::EventHandler {
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

/// Whether nothing follows the first document, which is all that YAML::Load() reads.
/// (YAML::LoadAll() of yaml-cpp 0.7 is no way to find out: it never ends for the text ",".)
bool is_one_document(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  NoEvents events;
  return !parser.HandleNextDocument(events) || !parser.HandleNextDocument(events);
}

std::expected<Value, std::string> yaml_value(const Option& option, const YAML::Node& node) {
  if (node.IsNull()) return problem("has no value");
  if (node.IsMap()) return problem("cannot have keys below it");
  if (node.IsScalar()) return parse_value(option, node.Scalar());
  if (option.kind != Kind::list) return problem("cannot be a list");
  std::vector<std::string> items;
  for (const YAML::Node& item : node) {
    if (!item.IsScalar()) return problem("has an entry that is not a plain text");
    items.push_back(item.Scalar());
  }
  return parse_list(option, std::move(items));
}

std::expected<void, std::string> read_document(Options options, Options others,
                                               const YAML::Node& document, std::string_view name,
                                               void* config) {
  if (document.IsNull()) return {};
  if (!document.IsMap())
    return problem(fmt::format("{}:1: not a list of \"key: value\" lines", name));
  std::set<std::string> seen;
  for (const auto& entry : document) {
    const std::string source = fmt::format("{}:{}", name, entry.first.Mark().line + 1);
    if (!entry.first.IsScalar()) return problem(source + ": a key is not a plain word");
    const std::string& key = entry.first.Scalar();
    if (!seen.insert(key).second)
      return problem(fmt::format("{}: {} is given a second time", source, quoted(key)));
    if (const Option* option = find(options, key)) {
      auto assigned = assign(*option, source, yaml_value(*option, entry.second), config);
      if (!assigned) return assigned;
    } else if (find(others, key) == nullptr) {
      const Option* near = nearest(as_key(key), options, others);
      return problem(fmt::format("{}: unknown key {}{}", source, quoted(key),
                                 near ? fmt::format("; did you mean \"{}\"?", near->key) : ""));
    }
  }
  return {};
}

std::expected<std::string, std::string> read_file(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text(kFileBytesMax + 1, '\0');
  if (file.is_open()) file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad())
    return problem(
        fmt::format("{}: cannot be read: {}", path, std::strerror(errno != 0 ? errno : EIO)));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kFileBytesMax)
    return problem(
        fmt::format("{}: larger than {}: not a configuration", path, format_bytes(kFileBytesMax)));
  return text;
}

// ---- environment and flags ---------------------------------------------------------------------

struct Setting {
  const Option* option;
  std::string source;
  std::string text;
};

struct Gathered {
  Outcome outcome;
  std::string file;
  std::string file_source;
  std::vector<Setting> variables;
  std::vector<Setting> flags;
};

void gather_environment(Options options, Options others, Environment environment, Gathered& out) {
  std::set<std::string, std::less<>> seen;
  for (const char* const entry : environment) {
    const std::string_view text(entry);
    const std::size_t equals = text.find('=');
    if (!text.starts_with(kVariablePrefix) || equals == std::string_view::npos) continue;
    const std::string_view name = text.substr(0, equals);
    const std::string_view value = text.substr(equals + 1);
    if (name.starts_with(kUcxPrefix) || !seen.emplace(name).second) continue;
    if (name == kConfigVariable) {
      out.file = value;
      out.file_source = kConfigVariable;
      continue;
    }
    const std::string_view rest = name.substr(kVariablePrefix.size());
    const auto named = [&](const Option& option) { return variable_name(option) == name; };
    const auto mine = std::find_if(options.begin(), options.end(), named);
    if (mine != options.end()) {
      if (!value.empty()) out.variables.push_back({&*mine, std::string(name), std::string(value)});
    } else if (std::none_of(others.begin(), others.end(), named)) {
      const Option* near = nearest(as_key(rest), options, others);
      out.outcome.warnings.push_back(
          fmt::format("the variable {} is not a setting and is ignored{}", escape_line(name),
                      near ? fmt::format("; did you mean {}?", variable_name(*near)) : ""));
    }
  }
}

std::expected<void, std::string> gather_flags(Options options, std::span<const char* const> args,
                                              Gathered& out) {
  for (const std::string_view arg : args) {
    if (arg == "--help" || arg == "-h") {
      out.outcome.action = Action::help;
      return {};
    }
  }
  std::set<std::string> seen;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string_view arg = args[i];
    if (!arg.starts_with("--") || arg.size() == 2)
      return problem(fmt::format("unexpected argument {}; settings are --key VALUE", quoted(arg)));
    const std::size_t equals = arg.find('=');
    const std::string name(arg.substr(0, equals));
    if (!seen.insert(name).second)
      return problem(fmt::format("{} is given a second time", quoted(name)));
    const auto known = std::find_if(options.begin(), options.end(),
                                    [&](const Option& o) { return flag_name(o) == name; });
    const bool is_action = name == "--print-config" || name == "--version";
    const bool is_switch = known != options.end() && known->kind == Kind::boolean;
    if (known == options.end() && name != "--config" && !is_action) {
      const Option* near = nearest(as_key(name.substr(2)), options, {});
      return problem(fmt::format("unknown flag {}{}", quoted(name),
                                 near ? fmt::format("; did you mean {}?", flag_name(*near)) : ""));
    }
    if (is_action) {
      if (equals != std::string_view::npos) return problem(fmt::format("{} takes no value", name));
      out.outcome.action = name == "--version" ? Action::version : Action::print_config;
      continue;
    }
    std::string value;
    if (equals != std::string_view::npos) {
      value = arg.substr(equals + 1);
    } else if (is_switch) {
      value = "true";
    } else if (i + 1 < args.size()) {
      value = args[++i];
    } else {
      return problem(fmt::format("{} needs a value", name));
    }
    if (name == "--config") {
      out.file = value;
      out.file_source = name;
    } else {
      out.flags.push_back({&*known, name, value});
    }
  }
  return {};
}

}  // namespace

std::expected<void, std::string> read_text(Options options, Options others, const std::string& text,
                                           std::string_view name, void* config) {
  try {
    if (!is_one_document(text))
      return problem(fmt::format("{}: has text after the end of the first YAML document", name));
    return read_document(options, others, YAML::Load(text), name, config);
  } catch (const YAML::Exception& e) {
    return problem(fmt::format("{}:{}: not valid YAML: {}", name, e.mark.line + 1, e.msg));
  } catch (const std::exception& e) {
    return problem(fmt::format("{}: not valid YAML: {}", name, e.what()));
  }
}

std::expected<Outcome, std::string> read(Options options, Options others, const Sources& sources,
                                         void* config) {
  Gathered gathered;
  gather_environment(options, others, sources.environment, gathered);
  auto flags = gather_flags(options, sources.args, gathered);
  if (!flags) return problem(flags.error());
  const Action action = gathered.outcome.action;
  if (action == Action::help || action == Action::version) return std::move(gathered.outcome);

  if (!gathered.file.empty()) {
    const auto text = read_file(gathered.file);
    if (!text) return problem(fmt::format("{}: {}", gathered.file_source, text.error()));
    auto done = read_text(options, others, *text, gathered.file, config);
    if (!done) return problem(done.error());
  }
  for (const auto* settings : {&gathered.variables, &gathered.flags}) {
    for (const Setting& s : *settings) {
      auto done = assign(*s.option, s.source, parse_value(*s.option, s.text), config);
      if (!done) return problem(done.error());
    }
  }
  if (action == Action::print_config) return std::move(gathered.outcome);
  for (const Option& option : options) {
    if (option.rule.required && value_text(option, option.load(config)).empty())
      return problem(fmt::format("{} is required: give {} VALUE, {} or \"{}:\" in the file",
                                 option.key, flag_name(option), variable_name(option), option.key));
  }
  return std::move(gathered.outcome);
}

Environment process_environment() {
  std::size_t n = 0;
  while (environ[n] != nullptr) ++n;
  return {environ, n};
}

}  // namespace benchfs::config
