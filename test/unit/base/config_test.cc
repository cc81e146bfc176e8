// The settings: precedence, units, ranges, and errors that name key, source and what is accepted.
#include "base/config.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/client_config.hpp"
#include "base/server_config.hpp"

namespace benchfs {
namespace {

using Words = std::vector<const char*>;

/// A configuration file, gone at the end.
struct File {
  explicit File(std::string_view text) {
    std::string name = (std::filesystem::temp_directory_path() / "benchfs-config-XXXXXX").string();
    const int fd = mkstemp(name.data());
    REQUIRE(fd >= 0);
    close(fd);
    path = name;
    std::ofstream(path) << text;
  }
  ~File() { std::filesystem::remove(path); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  std::string path;
};

auto load(const Words& args, const Words& environment = {}) {
  return load_server_config({args, environment});
}

/// The error of loading, or "accepted".
std::string error_of(const Words& args, const Words& environment = {}) {
  const auto loaded = load(args, environment);
  return loaded ? "accepted" : loaded.error();
}

/// The error of a file with `text`, with "FILE" for its name.
std::string file_error(std::string_view text) {
  ServerConfig config;
  const auto read =
      config::read_text(server_options(), client_options(), std::string(text), "FILE", &config);
  return read ? "accepted" : read.error();
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

TEST_SUITE("config") {
  TEST_CASE("defaults: what the tables say, without any source") {
    const auto server = load({"--data-dir", "/d"});
    REQUIRE(server.has_value());
    const ServerConfig& s = server->config;
    CHECK(s.data_dir == "/d");
    CHECK(s.listen == "127.0.0.1:0");
    CHECK(s.chunk_bytes == 4 * kMiB);
    CHECK(s.deadline_ms == 30'000);
    CHECK(s.spin_us == 50);
    CHECK(s.io_mode == IoMode::automatic);
    CHECK(s.log_level == LogLevel::info);
    CHECK(s.servers.empty());
    CHECK(server->outcome.action == config::Action::run);
    CHECK(server->outcome.warnings.empty());

    const auto client = load_client_config({});
    REQUIRE(client.has_value());
    CHECK(client->config.credits == 16);
    CHECK(client->config.chunk_bytes == 0);
    CHECK(client->config.log_level == LogLevel::warn);
  }

  TEST_CASE("precedence: flag over variable over file over default") {
    const File file("data_dir: /file\ndeadline: 1s\nspin: 1us\neager_max: 1KiB\n");
    const auto loaded = load({"--config", file.path.c_str(), "--deadline=3s"},
                             {"BENCHFS_DEADLINE=2s", "BENCHFS_SPIN=2us", "PATH=/bin"});
    REQUIRE(loaded.has_value());
    CHECK(loaded->config.deadline_ms == 3000);
    CHECK(loaded->config.spin_us == 2);
    CHECK(loaded->config.eager_max_bytes == 1024);
    CHECK(loaded->config.pool_bytes == 64 * kMiB);
  }

  TEST_CASE("the file is named by --config before BENCHFS_CONFIG") {
    const File a("data_dir: /a\n");
    const File b("data_dir: /b\n");
    const std::string variable = "BENCHFS_CONFIG=" + b.path;
    CHECK(load({}, {variable.c_str()})->config.data_dir == "/b");
    CHECK(load({"--config", a.path.c_str()}, {variable.c_str()})->config.data_dir == "/a");
    CHECK(error_of({"--config", "/none/x"}) ==
          "--config: /none/x: cannot be read: No such file or directory");
    CHECK(error_of({}, {"BENCHFS_CONFIG=/"}) ==
          "BENCHFS_CONFIG: /: cannot be read: Is a directory");
  }

  TEST_CASE("every type, as flag, variable and in the file") {
    const File file(
        "# all of it\n"
        "data_dir: \"/with blank/x\"\n"
        "servers:\n  - a:1\n  - \"[::1]:2\"\n"
        "chunk_size: 1 MiB\n"
        "failure_detect: 1500ms\n"
        "expected_servers: 2\n"
        "log_level: debug\n");
    const auto loaded =
        load({"--config", file.path.c_str(), "--io-mode", "direct"}, {"BENCHFS_LISTEN=eth0:9000"});
    REQUIRE(loaded.has_value());
    CHECK(loaded->config.data_dir == "/with blank/x");
    CHECK(loaded->config.servers == std::vector<std::string>{"a:1", "[::1]:2"});
    CHECK(loaded->config.chunk_bytes == kMiB);
    CHECK(loaded->config.failure_detect_ms == 1500);
    CHECK(loaded->config.expected_servers == 2);
    CHECK(loaded->config.log_level == LogLevel::debug);
    CHECK(loaded->config.io_mode == IoMode::direct);
    CHECK(loaded->config.listen == "eth0:9000");
    CHECK(load({"--data-dir=/d"}, {"BENCHFS_SERVERS=a:1, b:2"})->config.servers ==
          std::vector<std::string>{"a:1", "b:2"});
  }

  TEST_CASE("an empty variable counts as not set") {
    const auto loaded = load({"--data-dir", "/d"}, {"BENCHFS_DEADLINE=", "BENCHFS_CONFIG="});
    REQUIRE(loaded.has_value());
    CHECK(loaded->config.deadline_ms == 30'000);
  }

  TEST_CASE("a wrong value: the error names source, key, value and what is accepted") {
    CHECK(
        error_of({"--data-dir", "/d", "--chunk-size", "3MiB"}) ==
        "--chunk-size: chunk_size: \"3MiB\" is not a power of two; accepted: a size from 64KiB to "
        "128MiB, a power of two, in bytes or with B, KiB, MiB, GiB or TiB");
    CHECK(
        error_of({"--data-dir", "/d"}, {"BENCHFS_CHUNK_SIZE=4MB"}) ==
        "BENCHFS_CHUNK_SIZE: chunk_size: \"4MB\": unknown unit \"MB\"; accepted: a size from 64KiB "
        "to 128MiB, a power of two, in bytes or with B, KiB, MiB, GiB or TiB");
    CHECK(
        file_error("data_dir: /d\n\n# x\ndeadline: 30\n") ==
        "FILE:4: deadline: \"30\": a unit is missing; accepted: a time from 100ms to 1h, with ms, "
        "s, min or h");
    CHECK(file_error("expected_servers: 0") ==
          "FILE:1: expected_servers: \"0\" is out of range; accepted: a number from 1 to 8192");
    CHECK(file_error("io_mode: fast") ==
          "FILE:1: io_mode: \"fast\" is not one of these; accepted: one of auto, ring, direct, "
          "plain, memory");
    CHECK(has(file_error("spin: 100ns"), "\"100ns\" is finer than 1us"));
    CHECK(has(file_error("deadline: 2h"), "out of range"));
    CHECK(has(file_error("deadline: 99ms"), "out of range"));
    CHECK(has(file_error("listen: a:b"), "ADDRESS[:PORT]"));
    CHECK(has(file_error("server_id: .x"), "without a leading dot"));
    CHECK(has(file_error("server_id: " + std::string(64, 'x')), "1 to 63"));
    CHECK(has(file_error("servers: a"), "a list of host:port"));
    CHECK(has(file_error("servers: [\"a:0\"]"), "\"a:0\" is not valid"));
    CHECK(has(file_error("registry: \"a\\tb\""), "control character"));
  }

  TEST_CASE("a wrong type in the file") {
    CHECK(has(file_error("chunk_size: [4MiB]"), "FILE:1: chunk_size: cannot be a list; accepted"));
    CHECK(has(file_error("chunk_size: {a: b}"), "cannot have keys below it"));
    CHECK(has(file_error("chunk_size:"), "has no value"));
    CHECK(has(file_error("servers: [[a:1]]"), "has an entry that is not a plain text"));
    CHECK(has(file_error("servers: [\"\"]"), "has an empty entry"));
    CHECK(file_error("- a\n- b\n") == "FILE:1: not a list of \"key: value\" lines");
    CHECK(file_error("\n[a]: b\n") == "FILE:2: a key is not a plain word");
  }

  TEST_CASE("an unknown key: the nearest known one is offered") {
    CHECK(file_error("data_dir: /d\nchunksize: 4MiB\n") ==
          "FILE:2: unknown key \"chunksize\"; did you mean \"chunk_size\"?");
    CHECK(file_error("Chunk-Size: 4MiB") ==
          "FILE:1: unknown key \"Chunk-Size\"; did you mean \"chunk_size\"?");
    CHECK(file_error("credit: 4") == "FILE:1: unknown key \"credit\"; did you mean \"credits\"?");
    CHECK(file_error("colour: red") == "FILE:1: unknown key \"colour\"");
    CHECK(error_of({"--data-dr", "/d"}) == "unknown flag \"--data-dr\"; did you mean --data-dir?");
    CHECK(error_of({"--credits", "4"}) == "unknown flag \"--credits\"");
  }

  TEST_CASE("a repeated key or flag") {
    CHECK(file_error("spin: 1us\ndeadline: 1s\nspin: 2us\n") ==
          "FILE:3: \"spin\" is given a second time");
    CHECK(error_of({"--spin", "1us", "--spin=2us"}) == "\"--spin\" is given a second time");
  }

  TEST_CASE("flags without a value, and words that are no flags") {
    CHECK(error_of({"--data-dir"}) == "--data-dir needs a value");
    CHECK(error_of({"/d"}) == "unexpected argument \"/d\"; settings are --key VALUE");
    CHECK(error_of({"-d", "/d"}) == "unexpected argument \"-d\"; settings are --key VALUE");
    CHECK(error_of({"--"}) == "unexpected argument \"--\"; settings are --key VALUE");
    CHECK(error_of({"--version=1"}) == "--version takes no value");
  }

  TEST_CASE("the file of server and client is one: the other's keys are left alone") {
    const std::string text = "data_dir: /d\ncredits: 7\nio_mode: ring\nlist_max: 9\n";
    CHECK(file_error(text) == "accepted");
    ClientConfig client;
    CHECK(config::read_text(client_options(), server_options(), text, "FILE", &client));
    CHECK(client.credits == 7);
    CHECK(client.list_max == 9);
  }

  TEST_CASE(
      "variables that no table knows are warned of, but not those of UCX and the other table") {
    const auto loaded =
        load({"--data-dir", "/d"}, {"BENCHFS_CHUNKSIZE=1", "BENCHFS_UCX_TLS=tcp",
                                    "BENCHFS_CREDITS=2", "BENCHFS_XYZZY=1", "OTHER_CHUNK=1"});
    REQUIRE(loaded.has_value());
    CHECK(
        loaded->outcome.warnings ==
        std::vector<std::string>{"the variable BENCHFS_CHUNKSIZE is not a setting and is ignored; "
                                 "did you mean BENCHFS_CHUNK_SIZE?",
                                 "the variable BENCHFS_XYZZY is not a setting and is ignored"});
  }

  TEST_CASE("what is required must be there, except to print") {
    CHECK(error_of({}) ==
          "data_dir is required: give --data-dir VALUE, BENCHFS_DATA_DIR or \"data_dir:\" in the "
          "file");
    CHECK(load({"--print-config"})->outcome.action == config::Action::print_config);
    CHECK(load({"--version"})->outcome.action == config::Action::version);
    CHECK(load({"--help"})->outcome.action == config::Action::help);
    CHECK(load({"--nonsense", "-h"})->outcome.action == config::Action::help);
    CHECK(has(error_of({"--print-config", "--spin", "x"}), "--spin: spin"));
  }

  TEST_CASE("settings that do not fit together") {
    CHECK(error_of({"--data-dir", "/d", "--rpc-bytes-max", "16MiB", "--pool-bytes", "31MiB"}) ==
          "pool_bytes (31MiB) must be at least two times rpc_bytes_max (16MiB)");
    CHECK(error_of({"--data-dir", "/d", "--rpc-bytes-max", "64KiB", "--eager-max", "65KiB"}) ==
          "eager_max (65KiB) must not exceed rpc_bytes_max (64KiB)");
    CHECK(error_of({"--data-dir", "/d", "--servers", "a:1", "--expected-servers", "2"}) ==
          "expected_servers is 2, but servers names only 1 addresses");
    const Words environment{"BENCHFS_EAGER_MAX=1MiB", "BENCHFS_RPC_BYTES_MAX=64KiB"};
    CHECK_FALSE(load_client_config({{}, environment}).has_value());
  }

  TEST_CASE("zero stands for something else where the table says so") {
    const Words zero{"BENCHFS_CHUNK_SIZE=0"};
    CHECK(load_client_config({{}, zero})->config.chunk_bytes == 0);
    CHECK(has(error_of({"--data-dir", "/d"}, zero), "out of range"));
  }

  TEST_CASE("broken YAML: the line is named, nothing is thrown") {
    CHECK(has(file_error("data_dir: /d\nspin: [1us\n"), "FILE:3: not valid YAML"));
    CHECK(has(file_error("a: b: c"), "not valid YAML"));
    CHECK(has(file_error("\t\tx: 1"), "not valid YAML"));
    CHECK(has(file_error("spin: 1us\n---\nspin: 2us\n"),
              "text after the end of the first YAML document"));
    CHECK(has(file_error(","), "text after the end"));
    CHECK(has(file_error("spin: 1us\n...\n,"), "text after the end"));
    CHECK(file_error("---\nspin: 1us\n...\n") == "accepted");
    CHECK(has(file_error(std::string(20000, '[')), "not valid YAML"));
    CHECK(file_error("") == "accepted");
    CHECK(file_error("# nothing\n") == "accepted");
    const File large("# " + std::string(70000, 'x'));
    CHECK(has(error_of({"--config", large.path.c_str()}), "larger than 64 KiB"));
  }

  TEST_CASE("dump: reading it gives the same settings") {
    ServerConfig config;
    config.data_dir = "/a \"b\" \\ #c: d";
    config.servers = {"a:1", "[::1]:2"};
    config.spin_us = 1500;
    config.io_mode = IoMode::plain;
    const std::string text = config::dump(server_options(), &config);
    ServerConfig back;
    const auto read = config::read_text(server_options(), client_options(), text, "FILE", &back);
    REQUIRE_MESSAGE(read.has_value(), text);
    CHECK(config::dump(server_options(), &back) == text);
    CHECK(back.data_dir == config.data_dir);
    CHECK(back.servers == config.servers);
    CHECK(back.spin_us == 1500);
    CHECK(back.io_mode == IoMode::plain);
  }

  TEST_CASE("help: every flag with its default") {
    const ServerConfig defaults;
    const std::string text = config::help(server_options(), &defaults);
    for (const config::Option& option : server_options())
      CHECK(has(text, "  " + config::flag_name(option) + " "));
    CHECK(has(text, "Default: 4MiB."));
    CHECK(has(text, "auto|ring|direct|plain"));
  }

  TEST_CASE("tables: keys are unique and every default is accepted by its own rule") {
    const ServerConfig server;
    const ClientConfig client;
    const auto check = [](config::Options options, const void* defaults) {
      std::set<std::string_view> keys;
      for (const config::Option& option : options) {
        CAPTURE(std::string(option.key));
        CHECK(keys.insert(option.key).second);
        const std::string value = config::value_text(option, option.load(defaults));
        if (value.empty()) continue;
        const std::string line = fmt::format("{}: \"{}\"", option.key, value);
        ServerConfig s;
        ClientConfig c;
        void* target = options.data() == server_options().data() ? static_cast<void*>(&s) : &c;
        const auto read = config::read_text(options, {}, line, "FILE", target);
        CHECK_MESSAGE(read.has_value(), line);
      }
    };
    check(server_options(), &server);
    check(client_options(), &client);
  }

  TEST_CASE("docs/configuration.md holds the tables as they are") {
    std::filesystem::path root = std::filesystem::path(__FILE__).parent_path() / "../../..";
    if (const char* srcdir = std::getenv("srcdir"); srcdir && !exists(root / "docs"))
      root = std::filesystem::path(srcdir) / "../..";
    std::ifstream file(root / "docs/configuration.md");
    REQUIRE_MESSAGE(file.is_open(), (root / "docs/configuration.md").string());
    std::stringstream page;
    page << file.rdbuf();
    const ServerConfig server;
    const ClientConfig client;
    CHECK(has(page.str(), config::reference(server_options(), &server)));
    CHECK(has(page.str(), config::reference(client_options(), &client)));
  }
}

// A table of one's own: the types that no setting of today has.
struct Toy {
  bool loud = false;
};
constexpr config::Option kToyOptions[] = {
    config::make_option<config::Boolean, Toy, &Toy::loud>("loud", "Speaks up.", {})};

TEST_SUITE("config") {
  TEST_CASE("a boolean: a flag without value, or true and false") {
    const auto loud = [](const Words& args, const Words& environment = {}) {
      Toy toy;
      const auto outcome = config::read(kToyOptions, {}, {args, environment}, &toy);
      return outcome ? (toy.loud ? "true" : "false") : outcome.error();
    };
    CHECK(loud({}) == "false");
    CHECK(loud({"--loud"}) == "true");
    CHECK(loud({"--loud=true"}) == "true");
    CHECK(loud({"--loud=false"}, {"BENCHFS_LOUD=true"}) == "false");
    CHECK(loud({}, {"BENCHFS_LOUD=yes"}) ==
          "BENCHFS_LOUD: loud: \"yes\" is not true or false; accepted: true or false");
  }
}

}  // namespace
}  // namespace benchfs
