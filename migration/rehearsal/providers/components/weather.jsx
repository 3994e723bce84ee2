import { useState } from "react";

const CITIES = {
  Lisbon: { now: 21, sky: "Sunny", wind: 14, humid: 48, week: [21, 22, 24, 23, 20] },
  Oslo: { now: 3, sky: "Snow", wind: 9, humid: 81, week: [3, 1, -2, 0, 4] },
  Kyoto: { now: 16, sky: "Cloudy", wind: 6, humid: 63, week: [16, 17, 15, 14, 18] },
};
const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri"];
const ICONS = { Sunny: "☀", Snow: "❄", Cloudy: "☁" };

export default function WeatherDashboard() {
  const [city, setCity] = useState("Lisbon");
  const { now, sky, wind, humid, week } = CITIES[city];
  return (
    <section className="min-h-screen bg-gradient-to-br from-sky-700 to-indigo-800 p-8 text-white">
      <h1 className="text-2xl font-bold">Weather Dashboard</h1>
      <div className="mt-4 flex gap-2">
        {Object.keys(CITIES).map((name) => (
          <button key={name} type="button" aria-pressed={name === city} onClick={() => setCity(name)}
            className={"rounded-full px-4 py-1 " + (name === city ? "bg-white text-indigo-900" : "bg-indigo-950/50")}>
            {name}
          </button>
        ))}
      </div>
      <div className="mt-8 flex items-center gap-6">
        <span className="text-7xl" aria-hidden="true">{ICONS[sky]}</span>
        <div>
          <p className="text-6xl font-semibold tabular-nums">{now}°</p>
          <p className="text-lg">{sky} in {city}</p>
        </div>
      </div>
      <dl className="mt-8 grid grid-cols-2 gap-4">
        <div className="rounded-2xl bg-indigo-950/40 p-4"><dt>Wind</dt><dd className="text-2xl">{wind} km/h</dd></div>
        <div className="rounded-2xl bg-indigo-950/40 p-4"><dt>Humidity</dt><dd className="text-2xl">{humid}%</dd></div>
      </dl>
      <ol className="mt-4 grid grid-cols-5 gap-3 text-center">
        {week.map((degrees, day) => (
          <li key={day} className="rounded-2xl bg-indigo-950/40 p-4">{DAYS[day]}<br /><b className="text-xl">{degrees}°</b></li>
        ))}
      </ol>
    </section>
  );
}
