# tern-token, the program that speaks with smart cards: it loads PKCS#11 modules, and with them
# OpenSSL, and so is linked to nothing that has BoringSSL. Without p11-kit there is none, and profiles
# that name keys by pkcs11: are told so.
pkg_check_modules(P11KIT IMPORTED_TARGET p11-kit-1>=0.24)
set(TERN_TOKEN_DIR ${CMAKE_INSTALL_FULL_LIBEXECDIR}/tern)
set_property(SOURCE client/token_process.c APPEND PROPERTY COMPILE_DEFINITIONS
             TERN_TOKEN_INSTALLED="${TERN_TOKEN_DIR}/tern-token")
if(P11KIT_FOUND)
  add_library(tern_token STATIC client/token/card.c client/token/card_objects.c
                                client/token/protocol.c client/token/serve.c)
  target_include_directories(tern_token PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_definitions(tern_token PRIVATE _GNU_SOURCE)
  target_link_libraries(tern_token PUBLIC tern_base PkgConfig::P11KIT)
  add_executable(tern-token client/token/main.c)
  target_compile_definitions(tern-token PRIVATE _GNU_SOURCE)
  # Of platform the functions about privileges alone, and not the libraries of the others.
  target_link_options(tern-token PRIVATE LINKER:--as-needed)
  target_link_libraries(tern-token PRIVATE tern_token tern_platform)
  # Nor does it look for libraries where BoringSSL's are.
  set_target_properties(tern-token PROPERTIES SKIP_BUILD_RPATH ON INSTALL_RPATH "")
  add_dependencies(tern tern-token)
  install(TARGETS tern-token RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/tern)
else()
  message(STATUS "No p11-kit (libp11-kit-dev): keys by pkcs11: will not be supported")
endif()
