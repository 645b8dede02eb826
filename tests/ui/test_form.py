"""Fields, widgets and translations name the same things, and a widget's value comes back as its setting had it."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from lora_trainer.errors import BadSettings
from lora_trainer.language import LANGUAGES, texts
from lora_trainer.settings import Settings, fields, groups, help_texts, to_flat
from lora_trainer.ui.form import NAMED, Form, basic_names, folded_names, read, widget


def placed(language: str = "en") -> Form:
    form = Form(language)
    with gr.Blocks(analytics_enabled=False):
        form.place([*NAMED, *basic_names(), *(name for names in folded_names().values() for name in names)])
    return form


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_has_one_widget_and_its_words(language: str) -> None:
    form = placed(language)
    assert sorted(form.widgets) == sorted(fields())
    assert {component.elem_id for component in form.widgets.values()} == {f"lora_trainer_{name}" for name in fields()}
    words = {key for key in texts(language) if key.startswith("setting.")}
    assert words == {f"setting.{name}.{part}" for name in fields() for part in ("label", "help")}
    assert {key for key in texts(language) if key.startswith("ui.group_")} == {f"ui.group_{name}" for name in groups()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_settings_share_a_label(language: str) -> None:
    labels = [texts(language)[f"setting.{name}.label"] for name in fields()]
    assert len(set(labels)) == len(labels)


def test_the_english_help_is_the_line_under_the_field() -> None:
    helps = {name: texts("en")[f"setting.{name}.help"] for name in fields()}
    assert helps == {name: text.replace("`", "") for name, text in help_texts().items()}


def test_the_raw_name_stands_under_every_widget() -> None:
    assert all(f"({name})" in component.info for name, component in placed().widgets.items())


def test_untouched_widgets_give_the_defaults() -> None:
    form = placed()
    assert form.settings({component: component.value for component in form.widgets.values()}) == Settings()


@pytest.mark.parametrize(
    ("name", "shown", "value"),
    [
        ("epochs", 12.0, 12),
        ("unet_lr", 1, 1),
        ("name", "  my_character ", "my_character"),
        ("sample_prompts", "a, b\n\n  c  \n", ("a, b", "c")),
        ("grid_weights", "0.6, 0.8 1", (0.6, 0.8, 1.0)),
        ("grid_weights", "0.6，0.8、1；", (0.6, 0.8, 1.0)),
        ("grid_weights", "", ()),
        ("images", None, ""),
    ],
)
def test_values_are_read(name: str, shown: Any, value: Any) -> None:
    assert read(name, shown) == value


@pytest.mark.parametrize(
    ("name", "shown", "key"),
    [
        ("epochs", None, "setting_empty"),
        ("epochs", 2.5, "setting_type"),
        ("epochs", 0, "setting_range"),
        ("grid_weights", "0.6, much", "setting_numbers"),
        ("lr_scheduler", "steep", "setting_choice"),
    ],
)
def test_what_is_wrong_names_its_setting(name: str, shown: Any, key: str) -> None:
    form = placed()
    data = {component: component.value for component in form.widgets.values()} | {form.widgets[name]: shown}
    with pytest.raises(BadSettings) as caught:
        form.settings(data)
    assert (caught.value.key, caught.value.field) == (key, name)
    assert all(caught.value.text(language) for language in LANGUAGES)


def test_arrows_of_learning_rates_go_in_small_steps() -> None:
    with gr.Blocks(analytics_enabled=False):
        steps = {
            name: widget(name).step for name in ("unet_lr", "text_encoder_lr", "epochs", "network_alpha", "lr_warmup")
        }
    assert steps == {
        "unet_lr": 1e-5,
        "text_encoder_lr": 1e-5,
        "epochs": 1,
        "network_alpha": pytest.approx(0.1),
        "lr_warmup": pytest.approx(0.001),
    }


def test_basic_settings_are_never_folded() -> None:
    folded = [name for names in folded_names().values() for name in names]
    assert not set(folded) & {*NAMED, *basic_names()}
    assert {*folded, *NAMED, *basic_names()} == set(to_flat(Settings()))
