# The fuzz targets tests/fuzz/fuzz_NAME.c. With TERN_FUZZ they are libFuzzer's; without, a small main
# runs each over its committed corpus, so that what a fuzzer once found stays found.
if(TERN_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "TERN_FUZZ needs clang")
  endif()
endif()
add_library(tern_fuzz STATIC tests/fuzz/fuzz.c tests/fuzz/ends.c tests/support/packets.c)
target_compile_definitions(tern_fuzz PRIVATE _GNU_SOURCE)
target_link_libraries(tern_fuzz PUBLIC tern_ike tern_esp)

# NAME:ROOM, the room that the target reaches into
foreach(target message:ike payload:ike proposal:ike fragment:ike decrypted:ike session:ike
               datagram:ike text:ike eap:eap eap_tls:eap esp_open:esp packet:packet segment:packet
               coalesce:packet certificate:crypto revocation:crypto private_key:crypto token:client
               profile:client control:client gateway_config:gateway
               netlink:platform)
  string(REPLACE ":" ";" target ${target})
  list(GET target 0 name)
  list(GET target 1 room)
  add_executable(fuzz_${name} tests/fuzz/fuzz_${name}.c)
  target_compile_definitions(fuzz_${name} PRIVATE _GNU_SOURCE
                             TERN_FUZZ_DIR="${PROJECT_SOURCE_DIR}/tests/fuzz")
  target_link_libraries(fuzz_${name} PRIVATE tern_${room} tern_fuzz)
  if(TERN_FUZZ)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    add_test(NAME fuzz_${name} COMMAND fuzz_${name} -runs=0 -rss_limit_mb=1024
                                       ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
  else()
    target_sources(fuzz_${name} PRIVATE tests/fuzz/replay.c)
    add_test(NAME fuzz_${name}
             COMMAND fuzz_${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
  endif()
endforeach()

target_sources(fuzz_eap_tls PRIVATE tools/gateway/eap_tls_server.c)

# Writes the seeds: fuzz_seeds DIRECTORY
add_executable(fuzz_seeds tests/fuzz/seeds.c tests/fuzz/seeds_text.c tests/fuzz/seeds_packet.c
                          tests/fuzz/seeds_offload.c tests/fuzz/seeds_eap.c
                          tools/gateway/eap_server.c tools/gateway/eap_tls_server.c)
target_compile_definitions(fuzz_seeds PRIVATE _GNU_SOURCE
                           TERN_FUZZ_DIR="${PROJECT_SOURCE_DIR}/tests/fuzz")
target_link_libraries(fuzz_seeds PRIVATE tern_fuzz)
